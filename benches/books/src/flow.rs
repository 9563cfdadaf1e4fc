//! The commands, as `millrace bench book` writes them: 24 bytes each, little-endian.

/// What is done with an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Enter,
    /// Immediate or cancel.
    Take,
    Cancel,
    /// `old` becomes `id`, at the back of its new price.
    Move,
}

#[derive(Clone, Copy, Debug)]
pub struct Command {
    pub kind: Kind,
    pub buys: bool,
    pub symbol: u16,
    /// The order; each has its own, counted from 1.
    pub id: u32,
    pub old: u32,
    pub qty: u32,
    pub price: u32,
}

pub struct Flow {
    pub commands: Vec<Command>,
    pub symbols: u16,
    /// Above every order's id.
    pub ids: u32,
}

const BYTES: usize = 24;

impl Flow {
    pub fn read(path: &str) -> Result<Flow, String> {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        let commands: Option<Vec<Command>> = bytes.chunks_exact(BYTES).map(command).collect();
        let commands = commands.ok_or("not a flow")?;
        let symbols = commands.iter().map(|command| command.symbol + 1).max().ok_or("empty")?;
        let ids = commands.iter().map(|command| command.id + 1).max().unwrap_or(1);
        Ok(Flow { commands, symbols, ids })
    }
}

fn command(bytes: &[u8]) -> Option<Command> {
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let kind = match bytes[0] {
        b'E' => Kind::Enter,
        b'I' => Kind::Take,
        b'C' => Kind::Cancel,
        b'M' => Kind::Move,
        _ => return None,
    };
    Some(Command {
        kind,
        buys: bytes[1] == 1,
        symbol: u16::from_le_bytes([bytes[2], bytes[3]]),
        id: word(4),
        old: word(8),
        qty: word(12),
        price: word(16),
    })
}
