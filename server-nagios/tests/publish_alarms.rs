//! Who is told of problems: everybody whom the administrator names, and if that is nobody, the administrator hears it.

#[expect(dead_code, reason = "each test program uses its part of it")]
#[path = "publish/site.rs"]
mod site;

use std::fs;

use site::{Site, host};

/// The object of this kind with this line, as the running Nagios has read it.
fn object(site: &Site, kind: &str, line: &str) -> String {
    let objects = site.objects();
    let found = objects.split("define ").find(|object| object.starts_with(kind) && object.contains(line));
    found.unwrap_or_else(|| panic!("no {kind} with {line} in {objects}")).to_owned()
}

fn site() -> Site {
    let site = Site::running();
    site.write(
        "etc/nagios4/conf.d/people.cfg",
        "define contact {\n contact_name boss\n host_notification_commands true\n \
         service_notification_commands true\n}\n\
         define contactgroup {\n contactgroup_name admins\n members root\n}\n",
    );
    site.register("web1.example.org", &["ssh"]);
    site.register("web2.example.org", &["ssh"]);
    site
}

#[test]
fn nobody_is_told_without_contacts_and_it_is_said() {
    let mut site = site();
    let said =
        "nobody is notified of any alarm: set contact-groups in server.conf, e.g. `contact-groups = admins`";
    assert_eq!(site.published().warnings, [said]);
    assert_eq!(site.published().warnings, [said], "as long as it is so");
    site.configuration.contact_groups = vec!["admins".into()];
    let published = site.published();
    assert_eq!((published.changed, published.warnings), (true, vec![]));
    for kind in ["host {", "service {"] {
        let object = object(&site, kind, "\thost_name\tweb1.example.org\n");
        assert!(object.contains("\tcontact_groups\tadmins\n"), "{object}");
    }
    site.configuration.contact_groups.clear();
    site.configuration.contacts = vec!["boss".into()];
    assert_eq!(site.published().warnings, [""; 0]);
    assert!(object(&site, "service {", "\thost_name\tweb2.example.org\n").contains("\tcontacts\tboss\n"));
}

#[test]
fn a_host_of_which_nobody_is_told_is_named() {
    let site = site();
    site.write("etc/auto-monitor-server-nagios/hosts/web1.example.org.conf", "contacts = boss\n");
    let unheard = site.published().warnings.remove(0);
    assert!(unheard.starts_with("nobody is notified of some alarms of web2.example.org: set"), "{unheard}");
}

#[test]
fn a_template_without_contacts_is_found_out() {
    let mut site = site();
    site.configuration.contact_groups = vec!["admins".into()];
    let shipped = include_str!("../../templates/nagios/base.cfg.hbs");
    let file = "etc/auto-monitor-server-nagios/templates/nagios/base.cfg.hbs";
    site.write(file, &shipped.replace("contact_groups          {{contact_groups}}", ""));
    let unheard = site.published().warnings.remove(0);
    assert!(unheard.contains("templates/nagios leave out the contacts of server.conf"), "{unheard}");
    // One that says by itself who is told is nobody's business.
    site.configuration.contact_groups.clear();
    site.write(file, &shipped.replace("max_check_attempts ", "contacts root\n max_check_attempts "));
    assert_eq!(site.published().warnings, [""; 0]);
}

#[test]
fn a_contact_group_that_does_not_exist_is_a_fault_of_server_conf() {
    let mut site = site();
    site.configuration.contact_groups = vec!["adminz".into()];
    let told = site.refused();
    assert!(told.contains("etc/auto-monitor-server-nagios/server.conf gives"), "{told}");
    assert!(told.contains("adminz") && !told.contains("hosts/web"), "{told}");
    assert_eq!(site.generation(), None);
    site.configuration.contact_groups = vec!["admins".into()];
    site.published();
    // With a set in force, too.
    site.configuration.contacts = vec!["nobody".into()];
    site.register("web3.example.org", &["ssh"]);
    let told = site.refused();
    assert!(told.contains("etc/auto-monitor-server-nagios/server.conf gives"), "{told}");
    assert_eq!(site.services("web1.example.org"), ["host registration", "ssh"]);
    assert!(!site.paths.record(&host("web9.example.org")).exists());
}

#[test]
fn the_contacts_of_one_host_stand_in_place_of_the_others() {
    let mut site = site();
    site.configuration.contact_groups = vec!["admins".into()];
    site.write("etc/auto-monitor-server-nagios/hosts/web1.example.org.conf", "contacts = boss\n");
    assert_eq!(site.published().warnings, [""; 0]);
    for kind in ["host {", "service {"] {
        let object = object(&site, kind, "\thost_name\tweb1.example.org\n");
        assert!(object.contains("\tcontacts\tboss\n") && !object.contains("contact_groups"), "{object}");
    }
}

#[test]
fn an_interval_is_in_the_unit_that_nagios_has() {
    let site = Site::new();
    let main = site.root().join("etc/nagios4/nagios.cfg");
    let text = fs::read_to_string(&main).unwrap();
    fs::write(&main, format!("{text}interval_length=1\n")).unwrap();
    site.start();
    site.register("web1.example.org", &["ssh"]);
    site.write("etc/auto-monitor-server-nagios/hosts/web1.example.org.conf", "interval = 90s\n");
    site.published();
    let object = object(&site, "service {", "\tservice_description\tssh\n");
    assert!(object.contains("\tcheck_interval\t90.000000\n"), "{object}");
}

#[test]
fn what_server_conf_says_of_the_plugins_is_published() {
    let mut site = site();
    site.published();
    site.configuration.plugins = "/opt/plugins".into();
    assert!(site.published().changed);
    assert!(site.objects().contains(" --plugins /opt/plugins "));
}

#[test]
fn a_template_that_leaves_out_services_is_found_out() {
    let mut site = site();
    site.configuration.contact_groups = vec!["admins".into()];
    let shipped = include_str!("../../templates/nagios/host.cfg.hbs");
    let file = "etc/auto-monitor-server-nagios/templates/nagios/host.cfg.hbs";
    site.write(file, &shipped.replace("name}}", "name}}.invalid"));
    assert!(site.published().warnings[0].starts_with("not every service is watched of web1"));
    site.write(file, shipped.split("{{#each services}}").next().unwrap());
    let said = &site.published().warnings[0];
    assert!(
        said.starts_with("not every service is watched of web1.example.org, web2.example.org: compare"),
        "{said}"
    );
    site.write(file, shipped);
    assert_eq!(site.published().warnings, [""; 0]);
}
