//! Finds libdpdk and compiles the shim against its headers.

fn main() {
    println!("cargo::rerun-if-changed=shim");
    let found =
        pkg_config::Config::new().atleast_version("22.11").cargo_metadata(false).probe("libdpdk");
    let dpdk = found.unwrap_or_else(|error| {
        panic!(
            "DPDK 22.11 or later is needed, with its development files: apt-get install \
             libdpdk-dev, or build it from source and point PKG_CONFIG_PATH at its libdpdk.pc.\n\
             {error}"
        )
    });
    // DPDK's headers include rte_config.h by an option, and use what its baseline processor has.
    cc::Build::new()
        .file("shim/shim.c")
        .includes(&dpdk.include_paths)
        .flag("-include")
        .flag("rte_config.h")
        .flag_if_supported(baseline())
        .define("ALLOW_EXPERIMENTAL_API", None)
        .opt_level(3)
        .warnings(true)
        .compile("dpdk_shim");
    for path in &dpdk.link_paths {
        println!("cargo::rustc-link-search=native={}", path.display());
    }
    // Drivers are plug-ins, loaded by EAL; libdpdk.pc would link all of them.
    for library in ["rte_eal", "rte_ethdev", "rte_mbuf", "rte_mempool", "rte_timer"] {
        println!("cargo::rustc-link-lib={library}");
    }
}

/// What the headers need at least (config/x86/meson.build, config/arm/meson.build of DPDK).
fn baseline() -> &'static str {
    match std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => "-march=corei7",
        _ => "-march=armv8-a+crc",
    }
}
