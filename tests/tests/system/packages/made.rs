//! Packages that are made for a test, each with a definition of a port.

use anyhow::Result;
use auto_monitor_tests::lab::Machine;

/// A package with a definition of a port.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    pub name: &'a str,
    pub version: u32,
    pub port: u16,
    /// The folder of the definition; of `/etc`, it is a conffile.
    pub folder: &'a str,
    /// What a maintainer script does, and which one it is.
    pub script: Option<(&'a str, &'a str)>,
}

impl Default for Made<'_> {
    fn default() -> Self {
        Self { name: "made", version: 1, port: 1, folder: "usr/share/monitoring-info.d", script: None }
    }
}

impl Made<'_> {
    /// The lines of a shell script that make the file.
    fn order(self) -> String {
        let Self { name, version, port, folder, script } = self;
        let definition = format!("{folder}/{name}.conf");
        let contents = format!(
            "rm -rf p; mkdir -p p/DEBIAN p/{folder} p/usr/share/doc/{name}\n\
             printf 'Package: {name}\\nVersion: {version}\\nArchitecture: all\\nDescription: made for a test\\n\
             Maintainer: nobody <nobody@example.org>\\n' >p/DEBIAN/control\n\
             printf '[{name}]\\ntype = tcp\\nport = {port}\\n' >p/{definition}\n: >p/usr/share/doc/{name}/copyright\n"
        );
        let conffile = if folder.starts_with("etc/") {
            format!("echo /{definition} >p/DEBIAN/conffiles\n")
        } else {
            String::new()
        };
        let script = script.map_or_else(String::new, |(which, lines)| {
            let file = format!("p/DEBIAN/{which}");
            format!("cat >{file} <<'END'\n#!/bin/sh\nset -e\n{lines}\nEND\nchmod 755 {file}\n")
        });
        let build = format!("dpkg-deb -Znone --root-owner-group -b p {name}_{version}.deb >/dev/null\n");
        [contents, conffile, script, build].concat()
    }
}

/// Makes packages in a machine's folder, which its apt takes as a source from then on.
pub fn publish(host: &Machine, packages: &[Made<'_>]) -> Result<()> {
    let orders: String = packages.iter().map(|made| made.order()).collect();
    let order = format!("set -eu\nmkdir -p {ARCHIVE}\ncd {ARCHIVE}\n{orders}rm -rf p\n{TAKE}");
    host.expect_with_input(0, &["sh", "-s"], order.as_bytes())?;
    Ok(())
}

const ARCHIVE: &str = "/srv/made";
/// Makes it a source of apt's.
const TAKE: &str = "apt-ftparchive packages . >Packages
echo 'deb [trusted=yes] file:/srv/made ./' >/etc/apt/sources.list.d/made.list
apt-get --quiet update
";

/// Gives one machine what was made in another.
pub fn copy_published(from: &Machine, to: &Machine) -> Result<()> {
    let packed = from.expect(0, &["sh", "-c", &format!("tar -C {ARCHIVE} -c . | base64")])?.output;
    let order = format!("set -e; mkdir -p {ARCHIVE}; cd {ARCHIVE}; base64 -d | tar -x; {TAKE}");
    to.expect_with_input(0, &["sh", "-c", &order], packed.as_bytes())?;
    Ok(())
}
