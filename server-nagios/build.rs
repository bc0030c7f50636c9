//! Links the program so that it starts fast: sshd runs it twice for each session, in which it lives for some milliseconds.
//! Why each of these helps is said in `checks/build.rs`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}
