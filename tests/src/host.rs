//! A monitored host: a root folder with definitions, and a loopback address of its own.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::service::free_port;
use crate::site::{Invocation, Site};

/// A host.
#[derive(Debug)]
pub struct Host {
    /// Its registered name.
    pub name: String,
    /// Its address, from which it also connects.
    pub address: IpAddr,
    /// The folder's name below the site's.
    short: String,
    root: PathBuf,
}

impl Host {
    pub(crate) fn lay_out(site: &Site, name: &str, address: IpAddr) -> Result<Self> {
        let short = name.split('.').next().unwrap_or(name).to_owned();
        let root = site.folder().join(&short);
        for folder in ["etc/monitoring-info", "etc/auto-monitor", "var/lib/dpkg", "services"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::write(root.join("var/lib/dpkg/status"), "")?;
        fs::write(
            root.join("etc/auto-monitor/client.conf"),
            format!("name = {name}\nbind-address = {address}\n"),
        )?;
        Ok(Self { name: name.to_owned(), address, short, root })
    }

    /// Tells the host by which fingerprint it knows the server's key.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn introduce(&self, site: &Site) -> Result<()> {
        let text = format!(
            "name = {}\nbind-address = {}\nserver-fingerprint = {}\n",
            self.name,
            self.address,
            site.fingerprint()?
        );
        Ok(fs::write(self.root.join("etc/auto-monitor/client.conf"), text)?)
    }

    /// Below this the host's paths are.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder for the services that run on the host.
    #[must_use]
    pub fn services(&self) -> PathBuf {
        self.root.join("services")
    }

    /// A port of the host that nothing listens on.
    ///
    /// # Errors
    /// The address is not one of this machine.
    pub fn free_socket(&self) -> Result<SocketAddr> {
        Ok(SocketAddr::new(self.address, free_port(self.address)?))
    }

    /// Drops a definition file, as a package does.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn define(&self, file: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.root.join("etc/monitoring-info").join(file), text)?)
    }

    /// A command of the host's administrator.
    #[must_use]
    pub fn client(&self, site: &Site, arguments: &[&str]) -> Invocation {
        site.invocation("auto-monitor", &self.short, arguments)
    }
}
