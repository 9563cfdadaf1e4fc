//! Names and numbers. The journal holds numbers only; which name has which number is itself
//! told by commands, so that a configuration may change between two starts.

use std::collections::HashMap;

use crate::config::{self, Config};
use crate::gateway::{Credential, Names, Secret, UserSetup, Voice, Watchers};
use crate::order::{
    CarriedText, Command, CommandKind, FirmId, PROTOCOL_AT, Price, SymbolId, TEXT_BYTES, UserId,
    VENUE,
};
use crate::risk::Limits;
use crate::wire::Protocol;
use crate::wire::fix::Version;
use crate::wire::soupbin::pad;

use super::limits::{limits_of, part_of_answers, part_of_orders};

/// A user known to the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntry {
    /// Login name, in upper case.
    pub name: String,
    /// The user's firm.
    pub firm: FirmId,
    /// What it speaks.
    pub protocol: Protocol,
    /// Its CompID, if that is FIX.
    pub comp_id: String,
    /// The gateway's CompID, if that is FIX.
    pub own_comp_id: String,
    /// Firms that it watches.
    pub watches: Vec<FirmId>,
    /// It is an outside exchange, to which orders go.
    pub venue: bool,
}

impl UserEntry {
    /// How it is told what happens.
    pub fn voice(&self, secrets: &Secrets) -> Voice {
        match self.venue {
            false => {
                let mut voice = Voice::new(self.protocol, &self.own_comp_id, &self.comp_id);
                voice.remember_trades(secrets.undoes);
                voice
            }
            true => Voice::to_venue(
                self.protocol,
                &self.own_comp_id,
                &self.comp_id,
                secrets.of(&self.name),
            ),
        }
    }
}

/// What voices depend on that no journal knows: who calls venues, and whether trades are undone.
#[derive(Clone, Default)]
pub struct Secrets {
    of: HashMap<String, Secret>,
    /// Trades here may be undone, and are remembered for that.
    undoes: bool,
}

impl Secrets {
    /// Those of the configuration.
    pub fn of_config(config: &Config) -> Secrets {
        let secret = |venue: &config::Venue| {
            let text = |username: &toml::Spanned<String>| username.get_ref().clone();
            let username = venue.username.as_ref().map(text).unwrap_or_default();
            let password = venue.password.as_ref().map(|password| password.get_ref().0.clone());
            let name = venue.name.get_ref().to_ascii_uppercase();
            (name, Secret { username, password: password.unwrap_or_default() })
        };
        let undoes = config.mischief.as_ref().is_some_and(|of| of.get_ref().bust_ppm > 0);
        Secrets { of: config.venues.iter().map(secret).collect(), undoes }
    }

    fn of(&self, venue: &str) -> Secret {
        self.of.get(venue).cloned().unwrap_or_default()
    }
}

/// A symbol known to the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolEntry {
    /// Its name.
    pub name: String,
    /// Prices are multiples of this.
    pub tick: Price,
}

/// Everything that has a number, in order of numbers.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    /// Users.
    pub users: Vec<UserEntry>,
    /// Firms.
    pub firms: Vec<String>,
    /// Symbols.
    pub symbols: Vec<SymbolEntry>,
    /// Users that are venues, by their numbers, from 1.
    pub venues: Vec<UserId>,
    aliases: Vec<(UserId, SymbolId, Vec<u8>)>,
    carried: CarriedText,
    user_of: HashMap<String, usize>,
    firm_of: HashMap<String, usize>,
    symbol_of: HashMap<String, usize>,
}

/// Where the definition of a user says how many firms it watches; their numbers follow, two bytes each.
const WATCHED_AT: usize = PROTOCOL_AT + 1;

/// The firms that the definition of a user says it watches.
fn watched(text: &[u8; TEXT_BYTES]) -> Vec<FirmId> {
    let numbers = text[WATCHED_AT + 1..].chunks_exact(2).take(text[WATCHED_AT].into());
    numbers.map(|bytes| FirmId(u16::from_le_bytes([bytes[0], bytes[1]]))).collect()
}

/// The text before the first zero or space.
fn text_of(bytes: &[u8]) -> String {
    bytes.iter().take_while(|b| **b != 0 && **b != b' ').map(|b| *b as char).collect()
}

impl Dictionary {
    /// Takes in a definition; other commands change nothing.
    pub fn learn(&mut self, command: &Command) {
        match command.kind {
            CommandKind::Text => self.carried.take(command),
            CommandKind::DefineUser => {
                if command.firm.index() == self.firms.len() {
                    let firm = text_of(&command.text[8..12]);
                    self.firm_of.insert(firm.clone(), self.firms.len());
                    self.firms.push(firm);
                }
                let code = command.text[PROTOCOL_AT];
                // Ahead of a FIX user go two texts, a CompID each.
                let mut comp_ids = self.carried.of(command).chunks(TEXT_BYTES).map(text_of);
                let mut comp_id = || comp_ids.next().filter(|_| command.carried == 2);
                let (comp_id, own_comp_id) = (comp_id(), comp_id());
                let entry = UserEntry {
                    name: text_of(&command.text[..6]),
                    firm: command.firm,
                    protocol: Protocol::of_code(code & !VENUE).unwrap_or(Protocol::Ouch50),
                    comp_id: comp_id.unwrap_or_default(),
                    own_comp_id: own_comp_id.unwrap_or_default(),
                    watches: watched(&command.text),
                    venue: code & VENUE != 0,
                };
                if entry.venue && !self.venues.contains(&command.user) {
                    self.venues.push(command.user);
                }
                self.user_of.insert(entry.name.clone(), command.user.index());
                put(&mut self.users, command.user.index(), entry);
            }
            CommandKind::DefineSymbol => {
                let entry = SymbolEntry { name: text_of(&command.text[..8]), tick: command.price };
                self.symbol_of.insert(entry.name.clone(), command.symbol.index());
                put(&mut self.symbols, command.symbol.index(), entry);
            }
            CommandKind::DefineAlias => {
                let name = command.text.iter().copied().take_while(|byte| *byte != 0).collect();
                self.aliases.push((command.user, command.symbol, name));
            }
            _ => {}
        }
    }

    /// What tells a user of the configuration, if the dictionary lacks it or has it otherwise: the
    /// command, and the texts that go ahead of it.
    pub fn missing_user(&self, config: &Config, user: &config::User) -> Option<Vec<Command>> {
        let name = user.name.get_ref().to_ascii_uppercase();
        let known = self.user_of.get(&name).copied();
        let firm_name = user.firm.get_ref();
        let firm = self.firm_of.get(firm_name).copied();
        let protocol = protocol_of(config, user);
        let (comp_id, own_comp_id) = comp_ids_of(config, user);
        // Whom somebody watches was defined before.
        let number = |firm: &toml::Spanned<String>| self.firm_of.get(firm.get_ref());
        let watches = user.drop_copy_of.iter().filter_map(number);
        let watches: Vec<FirmId> = watches.map(|number| FirmId(*number as u16)).collect();
        let same = |entry: &UserEntry| {
            Some(entry.firm.index()) == firm
                && entry.protocol == protocol
                && entry.comp_id == comp_id
                && entry.own_comp_id == own_comp_id
                && entry.watches == watches
        };
        if known.is_some_and(|at| same(&self.users[at])) {
            return None;
        }
        Some(self.definition(
            known,
            &name,
            firm_name,
            protocol.code(),
            [comp_id, own_comp_id],
            &watches,
        ))
    }

    /// What tells a venue of the configuration, if the dictionary lacks it or has it otherwise.
    pub fn missing_venue(&self, venue: &config::Venue) -> Option<Vec<Command>> {
        let name = venue.name.get_ref().to_ascii_uppercase();
        let known = self.user_of.get(&name).copied();
        let protocol = venue_protocol(venue);
        let comp_id = |id: &Option<toml::Spanned<String>>| {
            id.as_ref().map_or(String::new(), |id| id.get_ref().clone())
        };
        let (own, peer) = (comp_id(&venue.sender_comp_id), comp_id(&venue.target_comp_id));
        let same = |entry: &UserEntry| {
            entry.venue
                && (entry.protocol, &entry.comp_id, &entry.own_comp_id) == (protocol, &peer, &own)
        };
        if known.is_some_and(|at| same(&self.users[at])) {
            return None;
        }
        // All venues are of a firm without a name.
        let code = protocol.code() | VENUE;
        Some(self.definition(known, &name, "", code, [&peer, &own], &[]))
    }

    /// What venues of the configuration call symbols, where the dictionary has it otherwise.
    pub fn missing_aliases(&self, config: &Config) -> Vec<Command> {
        let mut all = vec![];
        for venue in &config.venues {
            let name = venue.name.get_ref().to_ascii_uppercase();
            let Some(user) = self.user_of.get(&name).map(|at| UserId(*at as u16)) else { continue };
            for symbol in &config.symbols {
                let own = symbol.name.get_ref();
                let Some(number) = self.symbol_of.get(own).map(|at| SymbolId(*at as u16)) else {
                    continue;
                };
                let of = |(name, _): &(&toml::Spanned<String>, _)| name.get_ref() == own;
                let wanted =
                    venue.names.iter().find(of).map(|(_, alias)| alias.get_ref().as_bytes());
                let known =
                    self.aliases.iter().rfind(|(venue, of, _)| (*venue, *of) == (user, number));
                let known = known.map(|(.., name)| &name[..]).filter(|name| !name.is_empty());
                if wanted == known {
                    continue;
                }
                let firm = self.users[user.index()].firm;
                let mut command = Command::new(CommandKind::DefineAlias, user, firm);
                command.symbol = number;
                let text = wanted.unwrap_or_default();
                command.text[..text.len()].copy_from_slice(text);
                all.push(command);
            }
        }
        all
    }

    /// The user that a venue of the configuration is.
    pub fn venue(&self, venue: &config::Venue) -> Option<UserId> {
        let name = venue.name.get_ref().to_ascii_uppercase();
        let user = self.user_of.get(&name).map(|at| UserId(*at as u16))?;
        self.users[user.index()].venue.then_some(user)
    }

    /// The number of the venue that a user is.
    pub fn venue_number(&self, user: UserId) -> Option<u8> {
        self.venues.iter().position(|venue| *venue == user).map(|at| at as u8 + 1)
    }

    /// The number of a firm.
    pub fn firm(&self, name: &str) -> Option<FirmId> {
        self.firm_of.get(name).map(|at| FirmId(*at as u16))
    }

    /// The number of a symbol.
    pub fn symbol(&self, name: &str) -> Option<SymbolId> {
        self.symbol_of.get(name).map(|at| SymbolId(*at as u16))
    }

    /// The definition of a user: a command, and the texts that go ahead of it.
    fn definition(
        &self,
        known: Option<usize>,
        name: &str,
        firm_name: &str,
        code: u8,
        comp_ids: [&str; 2],
        watches: &[FirmId],
    ) -> Vec<Command> {
        let firm = self.firm_of.get(firm_name).copied();
        let user = UserId(known.unwrap_or(self.users.len()) as u16);
        let firm = FirmId(firm.unwrap_or(self.firms.len()) as u16);
        let mut command = Command::new(CommandKind::DefineUser, user, firm);
        command.text[..name.len()].copy_from_slice(name.as_bytes());
        command.text[8..8 + firm_name.len()].copy_from_slice(firm_name.as_bytes());
        command.text[PROTOCOL_AT] = code;
        command.text[WATCHED_AT] = watches.len() as u8;
        let places = command.text[WATCHED_AT + 1..].chunks_exact_mut(2);
        places.zip(watches).for_each(|(place, firm)| place.copy_from_slice(&firm.0.to_le_bytes()));
        let mut all = vec![];
        if !comp_ids[0].is_empty() {
            for (at, text) in (0..).zip(comp_ids) {
                let mut part =
                    Command { carried: at, ..Command::new(CommandKind::Text, user, firm) };
                part.text[..text.len()].copy_from_slice(text.as_bytes());
                all.push(part);
            }
            command.carried = 2;
        }
        all.push(command);
        all
    }

    /// What tells a symbol of the configuration, if the dictionary lacks it or has another tick.
    pub fn missing_symbol(&self, symbol: &config::Symbol) -> Option<Command> {
        let name = symbol.name.get_ref();
        let known = self.symbol_of.get(name).copied();
        if known.is_some_and(|at| self.symbols[at].tick == symbol.tick) {
            return None;
        }
        let mut command = Command {
            symbol: SymbolId(known.unwrap_or(self.symbols.len()) as u16),
            price: symbol.tick,
            ..Command::new(CommandKind::DefineSymbol, UserId(0), FirmId(0))
        };
        command.text[..name.len()].copy_from_slice(name.as_bytes());
        Some(command)
    }

    /// The names as they stand on the wire.
    pub fn names(&self) -> Names {
        let mut names = Names::default();
        self.add_names(&mut names);
        names
    }

    /// Who watches whom.
    pub fn watchers(&self) -> Watchers {
        let mut watchers = Watchers::default();
        for (user, entry) in (0..).map(UserId).zip(&self.users) {
            watchers.set(user, &entry.watches);
        }
        watchers
    }

    /// Brings names of this dictionary that were taken earlier up to date, but for users that
    /// changed their firm.
    pub(super) fn add_names(&self, names: &mut Names) {
        let symbols = &self.symbols[names.symbols.len()..];
        names.symbols.extend(symbols.iter().map(|s| pad::<8>(s.name.as_bytes())));
        let firms = &self.firms[names.firms.len()..];
        names.firms.extend(firms.iter().map(|firm| pad::<4>(firm.as_bytes())));
        let users = &self.users[names.users.len()..];
        names.users.extend(users.iter().map(|user| user.firm));
        names.user_names.extend(users.iter().map(|user| pad::<6>(user.name.as_bytes())));
        let venues = &self.venues[names.venues.len()..];
        let name = |user: &UserId| pad::<4>(self.users[user.index()].name.as_bytes());
        names.venues.extend(venues.iter().map(name));
        for (venue, symbol, name) in &self.aliases[names.aliases_taken..] {
            names.aliases.insert((*venue, *symbol), name.clone());
        }
        names.aliases_taken = self.aliases.len();
    }

    /// What the configuration says of each user; of one that it no longer names, nothing.
    fn configured<'a>(&self, config: &'a Config) -> Vec<Option<&'a config::User>> {
        let mut all = vec![None; self.users.len()];
        for user in &config.users {
            if let Some(&at) = self.user_of.get(&user.name.get_ref().to_ascii_uppercase()) {
                all[at] = Some(user);
            }
        }
        all
    }

    /// Every user for the gateway; one that the configuration no longer names cannot log in.
    pub fn user_setups(&self, config: &Config) -> Vec<UserSetup> {
        let limits = self.limits(config);
        let setup = |(entry, configured): (&UserEntry, Option<&config::User>)| UserSetup {
            name: entry.name.clone(),
            firm: entry.firm,
            cancel_on_disconnect: entry.watches.is_empty()
                && configured.is_some_and(|user| user.cancel_on_disconnect),
            max_messages_per_second: limits[entry.firm.index()].1.max_messages_per_second,
            protocol: entry.protocol,
            comp_id: entry.comp_id.clone(),
            watches: entry.watches.clone(),
            enabled: configured.is_some() && !entry.venue,
            venue: entry.venue,
        };
        self.users.iter().zip(self.configured(config)).map(setup).collect()
    }

    /// Every user's proof.
    pub fn credentials(&self, config: &Config) -> Vec<Credential> {
        let credential = |user: Option<&config::User>| {
            let hash = user.and_then(|user| user.password_hash.as_ref());
            let plain = user.and_then(|user| user.password.as_ref());
            match (hash, plain) {
                (Some(hash), _) => Credential::Hash(hash.get_ref().0.clone()),
                (None, Some(plain)) => Credential::Plain(plain.get_ref().0.clone()),
                // Not a PHC string: no password fits it.
                (None, None) => Credential::Hash(String::new()),
            }
        };
        self.configured(config).into_iter().map(credential).collect()
    }

    /// Every firm's limits.
    pub fn limits(&self, config: &Config) -> Vec<(FirmId, Limits)> {
        let (firms, parts) =
            (self.firms.iter().zip(0..), (part_of_orders(config), part_of_answers(config)));
        let limits = |(firm, number): (&String, u16)| {
            let number_of = |symbol: &str| self.symbol_of.get(symbol).copied();
            (FirmId(number), limits_of(config, firm, parts, number_of))
        };
        firms.map(limits).collect()
    }

    /// The reference price of every configured symbol.
    pub fn reference_prices(&self, config: &Config) -> Vec<(SymbolId, Price)> {
        let price = |symbol: &config::Symbol| {
            let at = *self.symbol_of.get(symbol.name.get_ref())?;
            Some((SymbolId(at as u16), symbol.reference_price))
        };
        config.symbols.iter().filter_map(price).collect()
    }
}

/// What the wire calls a venue's protocol.
pub(super) fn venue_protocol(venue: &config::Venue) -> Protocol {
    match venue.protocol.get_ref() {
        config::VenueProtocol::Fix42 => Protocol::Fix(Version::Fix42),
        config::VenueProtocol::Fix44 => Protocol::Fix(Version::Fix44),
        config::VenueProtocol::Ouch5 => Protocol::Ouch50,
    }
}

/// What the wire calls a protocol of the configuration.
pub(super) fn wire_protocol(protocol: config::Protocol) -> Protocol {
    match protocol {
        config::Protocol::Ouch5 => Protocol::Ouch50,
        config::Protocol::Ouch42 => Protocol::Ouch42,
        config::Protocol::Fix42 => Protocol::Fix(Version::Fix42),
        config::Protocol::Fix44 => Protocol::Fix(Version::Fix44),
        config::Protocol::Dropcopy => Protocol::DropCopy,
        config::Protocol::Glimpse => Protocol::Glimpse,
    }
}

fn protocol_of(config: &Config, user: &config::User) -> Protocol {
    wire_protocol(config.protocol_of(user))
}

/// The CompIDs of a user and of the gateway; nothing if the user does not speak FIX.
fn comp_ids_of<'a>(config: &'a Config, user: &'a config::User) -> (&'a str, &'a str) {
    match &user.fix_comp_id {
        Some(comp_id) => (comp_id.get_ref(), config.gateway.fix_comp_id.get_ref()),
        None => ("", ""),
    }
}

fn put<T>(list: &mut Vec<T>, at: usize, entry: T) {
    match list.get_mut(at) {
        Some(old) => *old = entry,
        None => list.push(entry),
    }
}
