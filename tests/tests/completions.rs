//! Completion, asked of the shells themselves: bash's own function, fish's `complete -C`, and zsh at a terminal, where the
//! first TAB loads the script.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::host::Host;
use auto_monitor_tests::installed::Installed;
use auto_monitor_tests::site::{Site, own_network};

const WEB: &str = "web1.example.org";

/// A server with one host that waits and one that is let in, whose definitions are two.
fn site(folder: &Path) -> Result<(Site, Host)> {
    let mut site = Site::lay_out(folder, own_network())?;
    site.start_endpoint()?;
    let host = |name: &str, number| -> Result<Host> {
        let host = site.host(name, number)?;
        host.introduce(&site)?;
        host.client(&site, &["enrol", &site.endpoint()?]).expect(4)?;
        Ok(host)
    };
    let web = host(WEB, 2)?;
    host("db1.example.org", 3)?;
    site.server(&["approve", WEB]).expect(0)?;
    web.define("web.conf", "[apache2]\ntype = http\n[openssh-server]\ntype = ssh\n")?;
    web.client(&site, &["register"]).expect(0)?;
    web.client(&site, &["disable", "apache2"]).expect(0)?;
    Ok((site, web))
}

/// Writes the scripts where the packages put them, and a search path with the programs.
fn scripts(folder: &Path) -> Result<String> {
    let installed = Installed::find()?;
    for (shell, before, after) in [("bash", "", ""), ("zsh", "_", ""), ("fish", "", ".fish")] {
        fs::create_dir_all(folder.join(shell))?;
        for program in ["auto-monitor", "auto-monitor-server"] {
            let output =
                Command::new(installed.program(program)).args(["generate", "completions", shell]).output()?;
            ensure!(output.status.success(), "{program} has none for {shell}");
            fs::write(folder.join(shell).join(format!("{before}{program}{after}")), output.stdout)?;
        }
    }
    let programs = installed.programs.canonicalize()?;
    Ok(format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs.display()))
}

/// What a shell prints of a script; the shell is one that `tests/setup` installs.
fn shell(shell: &str, arguments: &[&str], path: &str, folder: &Path) -> Result<String> {
    let output = Command::new(shell)
        .args(arguments)
        .env("PATH", path)
        .env("HOME", folder)
        .current_dir(folder)
        .output()
        .with_context(|| format!("cannot run {shell}; tests/setup servers installs it"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Asks bash's completion function, as readline does.
const BASH: &str = r#"
source bash/$1
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
IFS=$' \t\n'
_clap_complete_${1//-/_} "$1" "${@: -1}" "${@: -2:1}"
echo "${COMPREPLY[*]}"
"#;

#[test]
fn bash_offers_commands_options_and_names() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, web) = site(folder.path())?;
    let path = scripts(folder.path())?;
    let (root, server) = (web.root().display().to_string(), site.root().display().to_string());
    let ask = |words: &[&str]| -> Result<String> {
        let said = shell("bash", &[&["-c", BASH, "bash"], words].concat(), &path, folder.path())?;
        Ok(said.trim_end().to_owned())
    };
    // A file's name may be a command, and a pattern is none of the files that it fits.
    fs::write(folder.path().join("x;touch y;.conf"), "")?;
    fs::write(folder.path().join("apache;touch y"), "")?;
    web.client(&site, &["disable", "apache*"]).expect(0)?;
    assert_eq!(ask(&["auto-monitor", "check", "x"])?, r"x\;touch\ y\;.conf");
    assert_eq!(ask(&["auto-monitor", "--root", &root, "enable", "apache*"])?, r"apache\*");
    web.client(&site, &["enable", "apache*"]).expect(0)?;
    let client = |words: &[&str]| ask(&[&["auto-monitor", "--root", &root], words].concat());
    assert_eq!(client(&["sho"])?, "show");
    assert_eq!(client(&["show", ""])?, "apache2 openssh-server");
    assert_eq!(client(&["show", "open"])?, "openssh-server");
    assert_eq!(client(&["disable", ""])?, "openssh-server");
    assert_eq!(client(&["enable", ""])?, "apache2");
    assert_eq!(client(&["maintenance", ""])?, "begin end");
    assert!(client(&["types", ""])?.contains("mailflow"));
    assert_eq!(client(&["disable", "x", "--rea"])?, "--reason");
    // Where there is nothing but options, they are offered.
    assert!(client(&["register", ""])?.contains("--dry-run"));
    assert_eq!(client(&["generate", "man", "auto-monitor-e"])?, "auto-monitor-enable auto-monitor-enrol");
    assert_eq!(ask(&["auto-monitor", &format!("--root={root}"), "show", "a"])?, "apache2");

    let server = |words: &[&str]| ask(&[&["auto-monitor-server", "--root", &server], words].concat());
    assert_eq!(server(&["approve", ""])?, "db1.example.org");
    assert_eq!(server(&["reject", "db"])?, "db1.example.org");
    assert_eq!(server(&["revoke", ""])?, WEB);
    assert_eq!(server(&["show", ""])?, WEB);
    assert_eq!(server(&["explain", WEB, ""])?, "apache2 openssh-server");
    assert_eq!(server(&["token", ""])?, "create list revoke");
    assert!(!server(&[""])?.contains("session"), "what is for sshd alone is not offered");
    // Whoever sees no state is offered nothing, and told nothing.
    assert_eq!(ask(&["auto-monitor-server", "--root", "/nowhere", "show", "w"])?, "");
    Ok(())
}

#[test]
fn fish_offers_the_same_with_a_word_on_each() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, web) = site(folder.path())?;
    let path = scripts(folder.path())?;
    let ask = |line: &str| {
        let program = line.split(' ').next().unwrap_or_default();
        let script = format!("source fish/{program}.fish; complete -C '{line}'");
        shell("fish", &["--no-config", "-c", &script], &path, folder.path())
    };
    let root = web.root().display();
    assert_eq!(ask(&format!("auto-monitor --root {root} show "))?, "apache2\nopenssh-server\n");
    assert!(ask("auto-monitor dere")?.starts_with("deregister\tTell every monitoring server"));
    let root = site.root().display().to_string();
    assert_eq!(ask(&format!("auto-monitor-server --root {root} approve "))?, "db1.example.org\n");
    Ok(())
}

/// At a pseudo-terminal: `zsh/zpty` is zsh's own way to test its completions.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; fpath=($PWD/zsh \$fpath); autoload -U compinit; compinit -u -D; print RE''ADY"
zpty -r z line '*READY*'
zpty -w -n z "$1"$'\t'
all=
repeat 100; do
    zpty -r -t z line && all+=$line
    [[ $all == *$2* ]] && break
    sleep 0.2
done
print -r -- "$all"
zpty -d z
"#;

#[test]
fn zsh_answers_the_first_tab() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, web) = site(folder.path())?;
    let path = scripts(folder.path())?;
    for (line, expected) in [
        (format!("auto-monitor --root {} show op", web.root().display()), "openssh-server"),
        (format!("auto-monitor-server --root {} approve ", site.root().display()), "db1.example.org"),
    ] {
        let said = shell("zsh", &["-f", "-c", ZSH, "zsh", &line, expected], &path, folder.path())?;
        assert!(said.contains(expected), "{line}: {said}");
    }
    Ok(())
}
