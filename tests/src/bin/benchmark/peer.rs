//! What an organisation has without us: Ansible (`ansible-core`), whose template module renders the same hosts for the same
//! Nagios from its own inventory. In one task and one file, which is how it is fastest: a task takes its time for each file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use auto_monitor_tests::fleet;

use crate::measure::{Run, once};

const PLAYBOOK: &str = "- hosts: localhost
  connection: local
  gather_facts: false
  vars_files: [hosts.yml]
  tasks:
    - ansible.builtin.template: {src: hosts.cfg.j2, dest: hosts.cfg}
";
const TEMPLATE: &str = "{% for host in watched %}
define host {
    use                     auto-monitor-host
    host_name               {{ host.name }}
    address                 {{ host.address }}
    hostgroups              {{ host.groups | join(',') }}
}
{% for service in host.services %}
define service {
    use                     auto-monitor-service
    host_name               {{ host.name }}
    service_description     {{ service.name }}
    check_command           auto-monitor-service!{{ service.name }}
    notes                   {{ service.type }}, defined in {{ service.file }} on the host
}
{% endfor %}
{% endfor %}
";

/// Has it render so many hosts of the fleet, whose definitions stand in a file of variables.
pub fn render(folder: &Path, hosts: usize) -> Result<Run> {
    let folder = folder.join("ansible");
    fs::create_dir_all(&folder)?;
    let mut variables = String::from("watched:\n");
    for host in (0..hosts).map(fleet::host) {
        let _ = writeln!(variables, "- name: {}\n  address: {}", host.name, host.address);
        let _ = writeln!(variables, "  groups: [{}]\n  services:", host.tags.join(", "));
        for service in &host.definitions {
            let _ = writeln!(
                variables,
                "  - {{name: {}, type: {}, file: {}}}",
                service.name, service.kind, service.file
            );
        }
    }
    fs::write(folder.join("hosts.yml"), variables)?;
    fs::write(folder.join("site.yml"), PLAYBOOK)?;
    fs::write(folder.join("hosts.cfg.j2"), TEMPLATE)?;
    let mut command = Command::new("ansible-playbook");
    command.args(["-i", "localhost,", "site.yml"]).current_dir(&folder);
    // It keeps files below the home folder otherwise, which an ordinary user of a test has none of.
    command.env("HOME", &folder).env("ANSIBLE_LOCAL_TEMP", folder.join("tmp"));
    let run = once(&mut command, &[0])?;
    let written = fs::read_to_string(folder.join("hosts.cfg"))?;
    let services = written.matches("define service {").count();
    ensure!(services == hosts * fleet::DEFINITIONS, "Ansible has written {services} services");
    Ok(run)
}
