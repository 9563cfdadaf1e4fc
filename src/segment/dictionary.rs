//! Names and numbers. The journal holds numbers only; which name has which number is itself
//! told by commands, so that a configuration may change between two starts.

use crate::config::{self, Config};
use crate::gateway::{Credential, Names, UserSetup, Voice};
use crate::order::{
    CarriedText, Command, CommandKind, FirmId, Price, SymbolId, TEXT_BYTES, UserId,
};
use crate::risk::Limits;
use crate::wire::Protocol;
use crate::wire::fix::Version;
use crate::wire::soupbin::pad;

use super::limits::{limits_of, tick_of};

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
}

impl UserEntry {
    /// How it is told what happens.
    pub fn voice(&self) -> Voice {
        Voice::new(self.protocol, &self.own_comp_id, &self.comp_id)
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
    carried: CarriedText,
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
                    self.firms.push(text_of(&command.text[8..12]));
                }
                // Ahead of a FIX user go two texts, a CompID each.
                let mut comp_ids = self.carried.of(command).chunks(TEXT_BYTES).map(text_of);
                let mut comp_id = || comp_ids.next().filter(|_| command.carried == 2);
                let (comp_id, own_comp_id) = (comp_id(), comp_id());
                let entry = UserEntry {
                    name: text_of(&command.text[..6]),
                    firm: command.firm,
                    protocol: Protocol::of_code(command.text[12]).unwrap_or(Protocol::Ouch50),
                    comp_id: comp_id.unwrap_or_default(),
                    own_comp_id: own_comp_id.unwrap_or_default(),
                };
                put(&mut self.users, command.user.index(), entry);
            }
            CommandKind::DefineSymbol => {
                let entry = SymbolEntry { name: text_of(&command.text[..8]), tick: command.price };
                put(&mut self.symbols, command.symbol.index(), entry);
            }
            _ => {}
        }
    }

    /// The next definition that the configuration asks for and the dictionary lacks: the command,
    /// and the texts that go ahead of it.
    pub fn missing(&self, config: &Config) -> Option<Vec<Command>> {
        self.missing_user(config).or_else(|| Some(vec![self.missing_symbol(config)?]))
    }

    fn missing_user(&self, config: &Config) -> Option<Vec<Command>> {
        config.users.iter().find_map(|user| {
            let name = user.name.get_ref().to_ascii_uppercase();
            let known = self.users.iter().position(|entry| entry.name == name);
            let firm_name = user.firm.get_ref();
            let firm = self.firms.iter().position(|firm| firm == firm_name);
            let protocol = protocol_of(config, user);
            let (comp_id, own_comp_id) = comp_ids_of(config, user);
            let same = |entry: &UserEntry| {
                Some(entry.firm.index()) == firm
                    && entry.protocol == protocol
                    && entry.comp_id == comp_id
                    && entry.own_comp_id == own_comp_id
            };
            if known.is_some_and(|at| same(&self.users[at])) {
                return None;
            }
            let user = UserId(known.unwrap_or(self.users.len()) as u16);
            let firm = FirmId(firm.unwrap_or(self.firms.len()) as u16);
            let mut command = Command::new(CommandKind::DefineUser, user, firm);
            command.text[..name.len()].copy_from_slice(name.as_bytes());
            command.text[8..8 + firm_name.len()].copy_from_slice(firm_name.as_bytes());
            command.text[12] = protocol.code();
            let mut all = vec![];
            if !comp_id.is_empty() {
                for (at, text) in (0..).zip([comp_id, own_comp_id]) {
                    let mut part =
                        Command { carried: at, ..Command::new(CommandKind::Text, user, firm) };
                    part.text[..text.len()].copy_from_slice(text.as_bytes());
                    all.push(part);
                }
                command.carried = 2;
            }
            all.push(command);
            Some(all)
        })
    }

    fn missing_symbol(&self, config: &Config) -> Option<Command> {
        config.symbols.iter().find_map(|symbol| {
            let name = symbol.name.get_ref();
            let known = self.symbols.iter().position(|entry| entry.name == *name);
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
        })
    }

    /// The names as they stand on the wire.
    pub fn names(&self) -> Names {
        Names {
            symbols: self.symbols.iter().map(|symbol| pad(symbol.name.as_bytes())).collect(),
            firms: self.firms.iter().map(|firm| pad(firm.as_bytes())).collect(),
            users: self.users.iter().map(|user| user.firm).collect(),
        }
    }

    fn configured<'a>(&self, config: &'a Config, at: usize) -> Option<&'a crate::config::User> {
        let name = &self.users[at].name;
        config.users.iter().find(|user| user.name.get_ref().eq_ignore_ascii_case(name))
    }

    /// Every user for the gateway; one that the configuration no longer names cannot log in.
    pub fn user_setups(&self, config: &Config) -> Vec<UserSetup> {
        let setup = |(at, entry): (usize, &UserEntry)| {
            let configured = self.configured(config, at);
            UserSetup {
                name: entry.name.clone(),
                firm: entry.firm,
                cancel_on_disconnect: configured.is_some_and(|user| user.cancel_on_disconnect),
                protocol: entry.protocol,
                comp_id: entry.comp_id.clone(),
                enabled: configured.is_some(),
            }
        };
        self.users.iter().enumerate().map(setup).collect()
    }

    /// Every user's proof.
    pub fn credentials(&self, config: &Config) -> Vec<Credential> {
        let credential = |at| {
            let user = self.configured(config, at);
            let hash = user.and_then(|user| user.password_hash.as_ref());
            let plain = user.and_then(|user| user.password.as_ref());
            match (hash, plain) {
                (Some(hash), _) => Credential::Hash(hash.get_ref().0.clone()),
                (None, Some(plain)) => Credential::Plain(plain.get_ref().0.clone()),
                // Not a PHC string: no password fits it.
                (None, None) => Credential::Hash(String::new()),
            }
        };
        (0..self.users.len()).map(credential).collect()
    }

    /// Every firm's limits.
    pub fn limits(&self, config: &Config) -> Vec<(FirmId, Limits)> {
        let symbols: Vec<String> = self.symbols.iter().map(|s| s.name.clone()).collect();
        let firms = self.firms.iter().enumerate();
        firms.map(|(at, firm)| (FirmId(at as u16), limits_of(config, firm, &symbols))).collect()
    }

    /// The reference price of every configured symbol.
    pub fn reference_prices(&self, config: &Config) -> Vec<(SymbolId, Price)> {
        let price = |(at, entry): (usize, &SymbolEntry)| {
            let symbol = config.symbols.iter().find(|s| *s.name.get_ref() == entry.name)?;
            Some((SymbolId(at as u16), symbol.reference_price))
        };
        self.symbols.iter().enumerate().filter_map(price).collect()
    }

    /// Whether a symbol's configured tick differs from the journal's.
    pub fn tick_changes(&self, config: &Config, symbol: SymbolId) -> bool {
        let entry = &self.symbols[symbol.index()];
        tick_of(config, &entry.name).is_some_and(|tick| tick != entry.tick)
    }
}

/// What the wire calls a protocol of the configuration.
pub(super) fn wire_protocol(protocol: config::Protocol) -> Protocol {
    match protocol {
        config::Protocol::Ouch5 => Protocol::Ouch50,
        config::Protocol::Ouch42 => Protocol::Ouch42,
        config::Protocol::Fix42 => Protocol::Fix(Version::Fix42),
        config::Protocol::Fix44 => Protocol::Fix(Version::Fix44),
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
