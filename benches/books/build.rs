//! liquibook is C++ and in no registry: it is built from the checkout that `LIQUIBOOK` names, if it does.

fn main() {
    println!("cargo::rerun-if-env-changed=LIQUIBOOK");
    println!("cargo::rerun-if-changed=src/liquibook.cpp");
    println!("cargo::rustc-check-cfg=cfg(liquibook)");
    let Ok(checkout) = std::env::var("LIQUIBOOK") else { return };
    let built = cc::Build::new()
        .cpp(true)
        .std("c++17")
        .opt_level(3)
        .warnings(false)
        .include(format!("{checkout}/src"))
        .file("src/liquibook.cpp")
        .file(format!("{checkout}/src/simple/simple_order.cpp"))
        .try_compile("liquibook_peer");
    match built {
        Ok(()) => println!("cargo::rustc-cfg=liquibook"),
        Err(error) => println!("cargo::warning=liquibook is left out: {error}"),
    }
}
