//! The folders keep to their floors: a `use` that points up, or sideways on the ground floor,
//! fails here.

use std::path::Path;

/// What each folder may know, beside itself.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("order", &[]),
    ("ring", &[]),
    ("net", &[]),
    ("runtime", &["ring"]),
    ("wire", &["order"]),
    ("book", &["order", "ring", "runtime"]),
    ("risk", &["order", "ring", "runtime", "book"]),
    ("session", &["order", "runtime", "wire"]),
    ("journal", &["order", "ring", "runtime"]),
    ("feed", &["order", "ring", "net", "runtime", "wire", "book", "journal"]),
    ("audit", &["order", "ring", "runtime", "wire"]),
    ("gateway", &["order", "ring", "net", "runtime", "wire", "book", "session", "audit"]),
    ("config", &["order", "ring", "runtime"]),
    ("signals", &["order"]),
    ("client", &["order", "ring", "net", "wire", "runtime", "feed", "signals"]),
    (
        "lab",
        &[
            "order", "ring", "runtime", "net", "wire", "book", "journal", "feed", "config",
            "client", "signals", "strategy", "segment",
        ],
    ),
    ("strategy", &["order", "runtime", "wire", "session", "signals", "client"]),
    (
        "segment",
        &[
            "order", "ring", "net", "runtime", "wire", "book", "risk", "session", "journal",
            "audit", "feed", "gateway", "config", "client",
        ],
    ),
    (
        "cli",
        &[
            "order", "ring", "runtime", "net", "wire", "book", "risk", "session", "journal",
            "audit", "feed", "gateway", "config", "client", "segment", "signals", "strategy",
            "lab",
        ],
    ),
];

fn sources(dir: &Path, see: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, see);
        } else if path.extension().is_some_and(|e| e == "rs") {
            see(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// Every module that a text reaches by `crate::`.
fn reached(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let names = code.split("crate::").skip(1).map(|rest| {
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn no_folder_knows_one_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(&src).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let floor = path.file_name().unwrap().to_str().unwrap().to_owned();
        let rule = MAY_KNOW.iter().find(|(name, _)| *name == floor);
        let (_, may) = rule.unwrap_or_else(|| panic!("src/{floor} has no floor in this test"));
        sources(&path, &mut |file, text| {
            // Tests may reach across: a model needs its neighbours.
            if file.file_name().is_some_and(|name| name == "tests.rs") {
                return;
            }
            for name in reached(text) {
                let fine = name == floor || may.contains(&name.as_str());
                assert!(fine, "{} knows {name}, which is not below {floor}", file.display());
            }
        });
    }
}

#[test]
fn every_folder_of_the_tree_is_named_in_the_map() {
    let lib = include_str!("../src/lib.rs");
    for (name, _) in MAY_KNOW {
        assert!(lib.contains(&format!("pub mod {name};")), "src/lib.rs lacks {name}");
        assert!(lib.contains(&format!("[`{name}`]")), "the map in src/lib.rs lacks {name}");
    }
}

#[test]
fn unsafe_code_is_where_it_belongs() {
    let allowed = [
        "ring",
        "net/kernel",
        "net/af_xdp",
        "net/dpdk",
        "runtime",
        "journal/lock.rs",
        "segment/memory.rs",
        "wire/fix/ends.rs",
    ];
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&src, &mut |file, text| {
        let name = file.strip_prefix(&src).unwrap().to_str().unwrap();
        let at_the_edge = allowed.iter().any(|edge| name.starts_with(edge));
        let uses = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or("");
            ["{", "impl", "fn"].iter().any(|what| code.contains(&format!("{} {what}", "unsafe")))
        });
        assert!(!uses || at_the_edge, "{name} uses unsafe code");
    });
}
