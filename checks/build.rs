//! Links the programs so that they start fast: each lives for some 5 ms, thousands of times a minute.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Else each run loads the shared libgcc for its unwinder, whose constructor asks for the processor's features by CPUID, and
    // a virtual machine traps each of these: 3 % of check_certificate's processor time.
    println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    // A sixth of the bytes of relocations to read (glibc 2.36, which Debian 12 has).
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}
