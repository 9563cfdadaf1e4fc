//! What the system tells of itself in files.

use std::path::{Path, PathBuf};

/// The system, or a folder that looks like one.
pub(super) struct System {
    root: PathBuf,
}

impl System {
    pub fn here() -> System {
        System::at(Path::new("/"))
    }

    pub fn at(root: &Path) -> System {
        System { root: root.to_owned() }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Whether this is the running system, which also has programs to ask.
    pub fn is_here(&self) -> bool {
        self.root == Path::new("/")
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// A file's text without the space around it, if it can be read.
    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok().map(|text| text.trim().to_owned())
    }

    pub fn number(&self, path: &str) -> Option<u64> {
        self.read(path)?.parse().ok()
    }

    /// Names in a folder, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The last part of where a link points.
    pub fn link(&self, path: &str) -> Option<String> {
        let link = std::fs::read_link(self.path(path)).ok()?;
        Some(link.file_name()?.to_str()?.to_owned())
    }

    /// A word of the kernel's command line, `key=value`.
    pub fn boot_word(&self, key: &str) -> Option<String> {
        let line = self.read("proc/cmdline")?;
        let words = line.split_whitespace();
        let value = |word: &str| word.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
        words.filter_map(value).next_back()
    }

    /// Whether a program of that name runs.
    pub fn runs(&self, program: &str) -> bool {
        let processes = self.names("proc");
        processes
            .iter()
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .any(|pid| self.read(&format!("proc/{pid}/comm")).as_deref() == Some(program))
    }

    /// What a program prints; `None` if it is not here or fails.
    pub fn ask(&self, words: &[&str]) -> Option<String> {
        if !self.is_here() {
            return None;
        }
        let output = std::process::Command::new(words[0]).args(&words[1..]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The cores of a list such as `2-5,7`.
pub(super) fn cores(list: &str) -> Vec<usize> {
    let mut cores = Vec::new();
    for part in list.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse::<usize>()) {
            cores.extend(first..=last.min(4096));
        }
    }
    cores
}
