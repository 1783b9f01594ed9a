fn main() {
    // `cargo pgrx` reads the SQL interface from a section of the library that no code refers to. The linker would
    // drop it as unused. For the library alone: tests need unused references to Postgres's functions dropped.
    println!("cargo::rustc-cdylib-link-arg=-Wl,--no-gc-sections");
    println!("cargo::rerun-if-changed=build.rs");
}
