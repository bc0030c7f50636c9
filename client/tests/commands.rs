//! The commands that need no server: exit statuses, what people read, what programs read.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod setting;
use setting::Host;

#[test]
fn a_sound_host_checks_well() {
    let host = Host::new(&[("etc/monitoring-info/a.conf", "[web]\ntype = http\n")]);
    assert_eq!(host.run(0, &["check"]).out, "✓ 1 sound definition\n");
    assert_eq!(host.json(0, &["check"]), serde_json::json!({"definitions": 1, "problems": []}));
}

#[test]
fn a_fault_is_shown_with_its_place_and_as_data() {
    let host =
        Host::new(&[("etc/monitoring-info/a.conf", "[web]\ntype = http\nprot = 80\n[ok]\ntype = ssh\n")]);
    let answer = host.run(1, &["check"]);
    let expected = "\
error: unknown key `prot` for type `http`
 --> /etc/monitoring-info/a.conf:3:1
  |
3 | prot = 80
  | ^^^^
  = help: did you mean `port`?

✗ 1 sound definition, 1 error
";
    assert_eq!(answer.out, expected);
    assert!(!answer.out.contains('\u{1b}'), "no colour in a pipe");
    let json = host.json(1, &["check"]);
    assert_eq!(json["definitions"], 1);
    let problem = &json["problems"][0];
    assert!(problem["file"].as_str().unwrap().ends_with("/etc/monitoring-info/a.conf"));
    assert_eq!((problem["line"].as_u64(), problem["column"].as_u64()), (Some(3), Some(1)));
    assert_eq!(problem["severity"], "error");
    assert_eq!(problem["help"], "did you mean `port`?");
    assert_eq!(problem.as_object().unwrap().len(), 6);
}

#[test]
fn files_and_standard_input_are_checked_as_they_stand() {
    let host = Host::new(&[
        ("good.conf", "[web]\ntype = http\n"),
        ("bad.conf", "[web2]\ntype = htpt\n"),
        ("etc/monitoring-info/other.conf", "nonsense"),
        ("etc/auto-monitor/overrides.conf", "[web]\nport = x\n"),
    ]);
    let path = |name: &str| host.path(name).to_str().unwrap().to_owned();
    assert_eq!(host.json(0, &["check", &path("good.conf")])["definitions"], 1);
    let both = host.json(1, &["check", &path("good.conf"), &path("bad.conf")]);
    assert_eq!((both["definitions"].as_u64(), both["problems"].as_array().unwrap().len()), (Some(1), 1));
    let absent = host.run(1, &["check", &path("absent.conf")]);
    assert!(absent.out.contains("no such file"), "{}", absent.out);

    let mut child =
        host.command(&["check", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"[a]\ntype = tcp\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("--> -:1:2"));
}

/// Everything that can stand in a definition folder and is no definition file: each has a clear answer, at once.
#[test]
fn traps_are_answered_and_never_waited_for() {
    let host = Host::new(&[
        ("etc/monitoring-info/good.conf", "[good]\ntype = ssh\n"),
        ("etc/monitoring-info/latin1", ""),
        ("etc/monitoring-info/backup.conf~", "nonsense"),
        ("etc/monitoring-info/.hidden", "nonsense"),
        ("etc/monitoring-info/x.conf.dpkg-old", "nonsense"),
        ("usr/share/monitoring-info.d/masked.conf", "nonsense"),
        ("etc/monitoring-info/removed.conf", "nonsense"),
        (
            "var/lib/dpkg/status",
            "Package: removed\nStatus: deinstall ok config-files\nConffiles:\n /etc/monitoring-info/removed.conf 0\n",
        ),
    ]);
    let folder = host.path("etc/monitoring-info");
    fs::write(folder.join("latin1"), b"[a]\ntype = http\nuri = /\xe4\n").unwrap();
    fs::write(folder.join("nul"), b"[b]\ntype = http\0\n").unwrap();
    fs::create_dir(folder.join("directory")).unwrap();
    symlink("/nowhere", folder.join("dangling")).unwrap();
    symlink("loop", folder.join("loop")).unwrap();
    symlink("/dev/null", folder.join("masked.conf")).unwrap();
    let huge = fs::File::create(folder.join("huge")).unwrap();
    huge.set_len(10 << 20).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("fifo")).status().unwrap().success());
    let sections: String = (0..100_000).fold(String::new(), |text, n| text + &format!("[s{n}]\n"));
    fs::write(folder.join("sections"), sections).unwrap();

    let begin = Instant::now();
    let json = host.json(1, &["check"]);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(json["definitions"], 1);
    let problems = json["problems"].as_array().unwrap();
    let of = |name: &str| -> &str {
        let mut found = problems.iter().filter(|one| one["file"].as_str().unwrap().ends_with(name));
        let message = found.next().unwrap_or_else(|| panic!("{name}: {json:#}"))["message"].as_str().unwrap();
        assert!(found.next().is_none(), "{name}");
        message
    };
    assert!(of("/latin1").contains("0xE4 is not UTF-8"));
    assert!(of("/nul").contains("NUL"));
    assert_eq!(of("/directory"), "this is a directory, not a regular file");
    assert_eq!(of("/fifo"), "this is a FIFO, not a regular file");
    assert_eq!(of("/dangling"), "this is a link to /nowhere, which does not exist");
    assert!(of("/loop").contains("symbolic links"), "{}", of("/loop"));
    assert!(of("/huge").contains("larger than 64 KiB"));
    assert!(of("/sections").contains("larger than 64 KiB"));
    assert_eq!(problems.len(), 8, "{json:#}");

    let fifo = folder.join("fifo");
    let named = host.run(1, &["check", fifo.to_str().unwrap()]);
    assert!(named.out.contains("this is a FIFO"), "{}", named.out);
    let status = host.json(1, &["status"]);
    let inactive: Vec<&str> =
        status["inactive"].as_array().unwrap().iter().map(|file| file["reason"].as_str().unwrap()).collect();
    assert_eq!(inactive.len(), 3, "{inactive:?}");
    assert!(inactive.iter().any(|reason| reason.contains("removed but not purged")), "{inactive:?}");
}

#[test]
fn a_service_in_two_files_is_an_error_that_names_both() {
    let host = Host::new(&[
        ("usr/share/monitoring-info.d/a.conf", "[web]\ntype = http\n"),
        ("etc/monitoring-info/b.conf", "[web]\ntype = http\n"),
    ]);
    let out = host.run(1, &["check"]).out;
    assert!(
        out.contains("/usr/share/monitoring-info.d/a.conf") && out.contains("/etc/monitoring-info/b.conf"),
        "{out}"
    );
    assert!(out.contains("0 sound definitions"), "{out}");
}

#[test]
fn show_says_which_file_set_each_key_and_what_will_run() {
    let host = Host::new(&[
        ("etc/monitoring-info/a.conf", "[web]\ntype = http\nport = 8080\nuri = /a'b\n"),
        ("etc/auto-monitor/overrides.conf", "[w*]\nport = 81\nssl = yes\n"),
        ("etc/auto-monitor/client.conf", "address = 192.0.2.7\n"),
    ]);
    let answer = host.run(0, &["show", "web"]);
    for expected in [
        "web (http)  /etc/monitoring-info/a.conf:1\n",
        "port = 81",
        "/etc/auto-monitor/overrides.conf:2\n",
        "hostname = web1.example.org",
        "default\n",
        "check_request",
        "-H 192.0.2.7",
        r"'--uri=/a'\''b'",
        "certificate",
    ] {
        assert!(answer.out.contains(expected), "{expected}\n{}", answer.out);
    }
    let json = host.json(0, &["show"]);
    let port = json[0]["settings"].as_array().unwrap().iter().find(|one| one["key"] == "port").unwrap();
    assert_eq!((port["value"].as_str(), port["line"].as_u64()), (Some("81"), Some(2)));
    assert!(port["file"].as_str().unwrap().ends_with("overrides.conf"));
    assert_eq!(json[0]["probes"][0]["program"], "check_request");

    let unknown = host.run(1, &["show", "wbe"]);
    assert!(unknown.err.contains("did you mean `web`?"), "{}", unknown.err);
}

#[test]
fn a_password_is_shown_nowhere() {
    let text = "[box]\ntype = ldap\nusername = cn=probe\npassword_file = /etc/secret\n[in]\ntype = imap\nusername = u\npassword = s3cr3t\n";
    let host = Host::new(&[("etc/monitoring-info/a.conf", text), ("etc/secret", "s3cr3t\n")]);
    for arguments in [
        &["show"][..],
        &["show", "--json"],
        &["status", "--json"],
        &["register", "--dry-run", "--json"],
        &["check"],
    ] {
        let answer = host.run(0, arguments);
        // A diagnostic shows the line that it is about; this one is about the key, and the line is root's to see.
        let said = answer.out.replace("password = s3cr3t", "") + &answer.err.replace("password = s3cr3t", "");
        assert!(!said.contains("s3cr3t"), "{arguments:?}: {said}");
    }
    assert!(host.run(0, &["show"]).out.contains("password = ********"));
    let check = host.run(0, &["check"]).out;
    assert!(check.contains("run: chmod o-rwx /etc/secret"), "{check}");
    assert!(check.contains("run: chmod o-rwx /etc/monitoring-info/a.conf"), "{check}");
    for file in ["etc/secret", "etc/monitoring-info/a.conf"] {
        fs::set_permissions(host.path(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(host.run(0, &["check"]).out, "✓ 2 sound definitions\n");
}

#[test]
fn an_opt_out_is_written_kept_and_taken_back() {
    let host = Host::new(&[
        ("etc/monitoring-info/a.conf", "[apache2]\ntype = http\n[ssh]\ntype = ssh\n"),
        ("etc/auto-monitor/overrides.conf", "# mine\n[ssh]\nport = 2222\n"),
    ]);
    let answer =
        host.run(0, &["disable", "apache2", "--reason", "a development box", "--until", "2999-01-31"]);
    assert!(
        answer.out.contains("not watched: apache2") && answer.out.contains("auto-monitor register"),
        "{}",
        answer.out
    );
    let text = host.read("etc/auto-monitor/overrides.conf");
    assert!(text.starts_with("# mine\n[ssh]\nport = 2222\n"), "{text}");
    assert!(text.contains("[apache2]") && text.contains("until = 2999-01-31"), "{text}");
    assert_eq!(host.json(0, &["check"])["definitions"], 1);
    let status = host.run(0, &["status"]).out;
    assert!(status.contains("not watched: a development box, until 2999-01-31"), "{status}");
    assert!(host.run(0, &["disable", "apache2", "--until", "2999-01-31"]).out.contains("already"));
    let json = host.json(0, &["enable", "apache2"]);
    assert_eq!((json["enabled"].as_bool(), json["changed"].as_bool()), (Some(true), Some(true)));
    assert_eq!(host.read("etc/auto-monitor/overrides.conf").trim(), "# mine\n[ssh]\nport = 2222");
    assert!(host.run(0, &["disable", "nginx"]).out.contains("yet"));
    assert!(host.run(0, &["disable", "*"]).out.contains("apache2, ssh"));
    assert!(host.run(0, &["enable", "ssh"]).out.contains("exception to [*]"));
    assert_eq!(host.json(0, &["check"])["definitions"], 1);

    assert!(host.run(2, &["disable", "ssh", "--until", "2001-01-01"]).err.contains("not in the future"));
    assert!(host.run(2, &["disable", "a b"]).err.contains("cannot be a"));
    host.write("etc/auto-monitor/overrides.conf", "[ssh]\nenabled\n");
    let faulty = host.run(2, &["disable", "ssh"]).err;
    assert!(faulty.contains("mended by hand"), "{faulty}");
    assert_eq!(host.read("etc/auto-monitor/overrides.conf"), "[ssh]\nenabled\n");
}

#[test]
fn no_file_of_the_system_is_waited_for() {
    let host = Host::new(&[("etc/monitoring-info/a.conf", "[a]\ntype = ssh\n")]);
    for (path, command, status) in [
        ("etc/hostname", "status", 1),
        ("etc/hosts", "status", 0),
        ("var/lib/dpkg/status", "check", 1),
        ("var/lib/auto-monitor/state.json", "status", 2),
    ] {
        let host_path = host.path(path);
        fs::create_dir_all(host_path.parent().unwrap()).unwrap();
        let before = fs::read(&host_path).ok();
        drop(fs::remove_file(&host_path));
        assert!(Command::new("mkfifo").arg(&host_path).status().unwrap().success());
        host.run(status, &[command]);
        fs::remove_file(&host_path).unwrap();
        before.map_or(Ok(()), |bytes| fs::write(&host_path, bytes)).unwrap();
    }
}

#[test]
fn who_opts_out_what_is_not_there_is_told_what_is() {
    let host = Host::new(&[("etc/monitoring-info/a.conf", "[apache2]\ntype = http\n[bad]\ntype = htpt\n")]);
    assert!(host.run(0, &["enable", "nothing"]).out.contains("no service of this host is called nothing"));
    assert!(host.run(0, &["disable", "apahce2"]).out.contains("Did you mean apache2?"));
    assert!(host.run(0, &["enable", "bad"]).out.contains("bad has a fault"));
    let status = host.run(1, &["status"]).out;
    assert!(status.contains("✗ bad") && status.contains("○ apahce2  no such service here (yet)"), "{status}");
}

#[test]
fn an_opt_out_that_has_ended_counts_for_nothing() {
    let host = Host::new(&[
        ("etc/monitoring-info/a.conf", "[a]\ntype = ssh\n[b]\ntype = ssh\n"),
        ("etc/auto-monitor/overrides.conf", "[a]\nenabled = no\nuntil = 2001-01-01\n[b*]\nenabled = no\n"),
    ]);
    let status = host.json(0, &["status"]);
    let watched: Vec<_> = status["definitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["watched"].as_bool().unwrap())
        .collect();
    assert_eq!(watched, [true, false]);
    assert_eq!(status["overrides"][0]["ended"], true);
}

#[test]
fn a_host_without_a_server_is_at_peace() {
    let host = Host::new(&[("etc/monitoring-info/a.conf", "[a]\ntype = ssh\n")]);
    let quiet = host.run(0, &["register", "--unattended"]);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    let quiet = host.run(0, &["enrol", "--unattended"]);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    assert!(host.run(0, &["register"]).out.contains("auto-monitor enrol SERVER"));
    assert!(host.run(0, &["deregister"]).out.contains("nothing to do"));
    assert!(!host.path("var/lib/auto-monitor").exists(), "nothing is left behind");
    let dry = host.run(0, &["register", "--dry-run"]).out;
    assert!(dry.contains("+ a"), "{dry}");
    assert!(host.run(0, &["status"]).out.contains("No monitoring server is known"));
}

#[test]
fn types_and_pages_come_from_the_program_itself() {
    let host = Host::new(&[]);
    assert!(host.run(0, &["types"]).out.contains("mailflow"));
    assert!(host.run(0, &["types", "imap"]).out.contains("password_file"));
    assert!(host.json(0, &["types"]).as_array().unwrap().len() >= 9);
    assert_eq!(host.json(0, &["types", "ldap"])["type"], "ldap");
    assert!(host.run(2, &["types", "htpt"]).err.contains("did you mean `http`?"));

    assert!(host.run(0, &["generate", "man", "monitoring-info"]).out.contains(".TH"));
    assert!(host.run(2, &["generate", "man", "auto-monitor-chek"]).err.contains("auto-monitor-check"));
    let folder = host.path("man");
    host.run(0, &["generate", "man", "--directory", folder.to_str().unwrap()]);
    let pages = fs::read_dir(&folder).unwrap().count();
    assert!(pages >= 13, "{pages}");
    assert!(folder.join("monitoring-info.5").exists() && folder.join("auto-monitor-register.1").exists());
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            host.run(0, &["generate", "completions", shell]).out.contains("AUTO_MONITOR_COMPLETE"),
            "{shell}"
        );
    }
}

#[test]
fn a_root_that_is_not_there_is_no_sound_host() {
    let host = Host::new(&[("file", "")]);
    for root in ["absent", "file"] {
        let root = host.path(root);
        let output =
            Command::new(env!("CARGO_BIN_EXE_auto-monitor")).arg("--root").arg(&root).arg("check").output();
        let output = output.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(root.to_str().unwrap()) && output.stdout.is_empty(), "{said}");
        assert!(!root.is_dir());
    }
}

#[test]
fn an_image_is_edited_inside_the_image() {
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().join("overrides.conf");
    fs::write(&outside, "# not ours\n").unwrap();
    let host = Host::new(&[("etc/auto-monitor/x", ""), ("etc/monitoring-info/a.conf", "[a]\ntype = ssh\n")]);
    let inside = host.path(outside.to_str().unwrap().trim_start_matches('/'));
    fs::create_dir_all(inside.parent().unwrap()).unwrap();
    fs::write(&inside, "").unwrap();
    symlink(&outside, host.path("etc/auto-monitor/overrides.conf")).unwrap();
    host.run(0, &["disable", "a"]);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "# not ours\n");
    assert!(fs::read_to_string(&inside).unwrap().contains("[a]"));
}

#[test]
fn a_wrong_command_line_or_configuration_is_status_2() {
    let host = Host::new(&[]);
    for wrong in [
        &["chekc"][..],
        &["register", "--wait", "soon"],
        &["enrol", "-x"],
        &[],
        &["enrol", "a b"],
        &["enrol", "am1.broken"],
    ] {
        host.run(2, wrong);
    }
    host.write("etc/auto-monitor/client.conf", "sever = a\n");
    for command in [&["register"][..], &["status"], &["enrol"], &["show"]] {
        let said = host.run(2, command).err;
        assert!(said.contains("did you mean `server`?"), "{said}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let host = Host::new(&[("etc/monitoring-info/a.conf", "[a]\ntype = ssh\n")]);
    let mut child = host.command(&["show"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
