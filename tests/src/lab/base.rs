//! What every machine's disk begins with, and the packages that it can install.
//!
//! Both are made once and kept in a folder that git ignores, under a name that stands for everything they are made of.
//! `debootstrap` makes the root. All other packages are fetched by this computer's own apt, with its sources, proxies and
//! passwords, none of which gets into the root: a machine's apt has one source, a folder. What that folder offers is what
//! a plain `apt install` of each package would fetch, recommended packages too, so that this really is what happens in a
//! machine, without a network. The packages are resolved one by one because some exclude each other.

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use openssl::sha::sha256;
use rustix::fs::{FlockOperation, flock};

use super::enclosure::{BASE, Enclosure};
use super::order::Order;
use super::requirements;

/// In the folder of a base: the root folder of a Debian that nobody has booted.
const ROOT: &str = "root";
/// In the folder of a base: the packages, and their index.
pub(super) const ARCHIVE: &str = "archive";
/// In the folder of a base: what packages change of the root when they are installed, a folder each.
const LAYERS: &str = "layers";
/// Begins the name of a layer of packages that are not the archive's.
const SHORT_LIVED: &str = "files-";
/// How long such a layer is kept after its last use.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Where a machine sees the archive.
pub(super) const ARCHIVE_INSIDE: &str = "/srv/archive";
/// Changes when something else than the lists makes the same lists give another result.
const EDITION: &str = "1";

/// What a plain Debian server has beyond the essential, what makes it boot as a container, and what a person who looks
/// around would miss. Nothing of it listens.
const INSTALLED: [&str; 18] = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "iproute2",
    "iputils-ping",
    "nftables",
    "netbase",
    "apt-utils",
    "whiptail",
    "procps",
    "cron",
    "logrotate",
    "less",
    "vim-tiny",
    "bash-completion",
    "ca-certificates",
    "libfaketime",
];

/// What the system tests install: servers, what asks them, what our own packages depend on, and what builds a package.
const AVAILABLE: [&str; 30] = [
    "apache2",
    "avahi-daemon",
    "avahi-utils",
    "bind9",
    "build-essential",
    "chrony",
    "curl",
    "debhelper",
    "dnsmasq",
    "dovecot-imapd",
    "exim4-daemon-light",
    "expect",
    "fakeroot",
    "haproxy",
    "libnss-mdns",
    "lighttpd",
    "locales",
    "memcached",
    "monitoring-plugins-basic",
    "monitoring-plugins-standard",
    "nagios4-core",
    "nginx",
    "openssh-server",
    "postfix",
    "redis-server",
    "rsync",
    "slapd",
    "tmux",
    "unbound",
    "vsftpd",
];

/// What a base is made of.
#[derive(Debug, Clone)]
pub struct Recipe {
    installed: Vec<String>,
    available: Vec<String>,
}

/// What every machine's disk begins with, and the packages that it can install.
#[derive(Debug, Clone)]
pub struct Base {
    folder: PathBuf,
    /// The newest last.
    layers: Vec<String>,
}

impl Default for Recipe {
    /// A Debian server of which nothing listens, and the packages of the system tests.
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self { installed: owned(&INSTALLED), available: owned(&AVAILABLE) }
    }
}

impl Recipe {
    /// With these Debian packages installed, too.
    #[must_use]
    pub fn with_installed(mut self, packages: &[&str]) -> Self {
        self.installed.extend(packages.iter().map(|&name| name.to_owned()));
        self
    }

    /// With these Debian packages to be installed in a machine by apt.
    #[must_use]
    pub fn with_available(mut self, packages: &[&str]) -> Self {
        self.available.extend(packages.iter().map(|&name| name.to_owned()));
        self
    }

    /// A name that stands for everything it says.
    fn key(&self, suite: &str) -> String {
        let whole =
            [EDITION, suite, &self.installed.join("\n"), "", &self.available.join("\n"), ""].join("\n");
        format!("{suite}-{}", mark(whole.as_bytes()))
    }
}

impl Base {
    /// Makes the base of a recipe, if it is not there yet; one at a time, the others wait for it.
    ///
    /// # Errors
    /// This computer cannot run a lab (the error says what it lacks), or a package cannot be fetched or installed.
    pub fn prepare(recipe: &Recipe) -> Result<Self> {
        requirements::check()?;
        let suite = requirements::suite()?;
        let bases = super::folder();
        fs::create_dir_all(&bases).with_context(|| format!("cannot make the folder {}", bases.display()))?;
        let _lock = lock()?;
        let base = Self { folder: bases.join(recipe.key(&suite)), layers: Vec::new() };
        if !base.folder.exists() {
            eprintln!("lab: making {}, once; that takes a minute or two", base.folder.display());
            // What another one, killed, had begun.
            let partial = bases.join("partial");
            remove(&partial)?;
            Workshop { base: Self { folder: partial.clone(), layers: Vec::new() }, suite }.make(recipe)?;
            fs::rename(&partial, &base.folder)?;
        }
        Ok(base)
    }

    /// The same with these packages of the archive installed, as if that had been long ago: a machine that begins with
    /// them boots with their services. What they change is made once and kept.
    ///
    /// # Errors
    /// A package cannot be installed.
    pub fn with(&self, packages: &[&str]) -> Result<Self> {
        let name = mark([self.layers.join("\n"), packages.join("\n")].join("\n\n").as_bytes());
        self.layered(name, &packages.join(" "), |inside, root| install(inside, root, packages))
    }

    /// The same with packages from files of this computer, and with what a script does then, which root runs in the
    /// folder `/`. Other files make another layer, so that it is not kept for longer than it is used.
    ///
    /// # Errors
    /// A file cannot be read, a package not be installed, or the script fails.
    pub fn with_files(&self, files: &[PathBuf], script: &str) -> Result<Self> {
        let mut whole = vec![self.layers.join("\n"), script.to_owned()];
        let mut names = Vec::new();
        for file in files {
            let contents = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            whole.push(mark(&contents));
            names.push(file.file_name().and_then(|name| name.to_str()).context("a package has a name")?);
        }
        let name = format!("{SHORT_LIVED}{}", mark(whole.join("\n\n").as_bytes()));
        self.layered(name, &names.join(" "), |inside, root| {
            let folder = inside.outside(root).join("srv/files");
            fs::create_dir(&folder)?;
            for (file, name) in files.iter().zip(&names) {
                fs::copy(file, folder.join(name))?;
            }
            let paths: Vec<String> = names.iter().map(|name| format!("/srv/files/{name}")).collect();
            install(inside, root, &paths.iter().map(String::as_str).collect::<Vec<_>>())?;
            fs::remove_dir_all(folder)?;
            in_root(inside, root, &["sh", "-ec", script])
        })
    }

    /// The same with one more layer; made, where it is not there, by changing a root in which no service starts.
    fn layered(
        &self,
        name: String,
        contents: &str,
        change: impl FnOnce(&Enclosure, &str) -> Result<()>,
    ) -> Result<Self> {
        let _lock = lock()?;
        let layers = self.folder.join(LAYERS);
        let layer = layers.join(&name);
        if !layer.exists() {
            eprintln!("lab: installing {contents}, once");
            remove_unused(&layers)?;
            let partial = layers.join("partial");
            remove(&partial)?;
            let (upper, work) = (partial.join("upper"), partial.join("work"));
            fs::create_dir_all(&upper)?;
            fs::create_dir_all(&work)?;
            let inside = Enclosure::start(&self.folder)?;
            let root = "/run/lab/machines/layer";
            inside.expect(&["mkdir", root])?;
            let upper_inside = format!("{BASE}/{LAYERS}/partial/upper");
            inside.overlay(&self.lower(), &upper_inside, &format!("{BASE}/{LAYERS}/partial/work"), root)?;
            forbid_services(&upper.join(POLICY))?;
            change(&inside, root)?;
            inside.expect(&["rm", &format!("{root}/{POLICY}")])?;
            inside.expect(&["umount", root])?;
            inside.end()?;
            fs::rename(&upper, &layer)?;
            remove(&partial)?;
        }
        // When it was last used.
        File::open(&layer)?.set_modified(SystemTime::now())?;
        Ok(Self { folder: self.folder.clone(), layers: [&self.layers[..], &[name]].concat() })
    }

    /// The folder that a lab is started with.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Inside of a lab: the lower folders of a machine's disk, as overlayfs wants them.
    pub(super) fn lower(&self) -> String {
        let layers = self.layers.iter().rev().map(|name| format!("{BASE}/{LAYERS}/{name}:"));
        layers.chain([format!("{BASE}/{ROOT}")]).collect()
    }

    fn root(&self) -> PathBuf {
        self.folder.join(ROOT)
    }

    fn archive(&self) -> PathBuf {
        self.folder.join(ARCHIVE)
    }
}

/// One at a time makes something that is kept; the others wait.
fn lock() -> Result<File> {
    let lock = File::create(super::folder().join("lock"))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        eprintln!("lab: waiting for the one who makes a base");
        flock(&lock, FlockOperation::LockExclusive).context("cannot wait for the one who makes a base")?;
    }
    Ok(lock)
}

/// A short name that stands for these bytes.
fn mark(bytes: &[u8]) -> String {
    let [a, b, c, d, ..] = sha256(bytes);
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Removes the layers of packages that somebody has built, and tried, and built anew since.
fn remove_unused(layers: &Path) -> Result<()> {
    let listed = match fs::read_dir(layers) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        listed => listed?,
    };
    for entry in listed {
        let entry = entry?;
        let unused = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        if entry.file_name().to_string_lossy().starts_with(SHORT_LIVED) && unused > LIFE {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Installs packages in a root that nothing has booted; dpkg need not wait for the disk, as what is half made is never used.
fn install(inside: &Enclosure, root: &str, packages: &[&str]) -> Result<()> {
    let apt = ["apt-get", "--quiet", "--yes", "--option", "Dpkg::Options::=--force-unsafe-io", "install"];
    in_root(inside, root, &[&apt[..], packages].concat())?;
    in_root(inside, root, &["apt-get", "clean"])
}

/// Debian's way to say that no service is to be started while something is installed.
const POLICY: &str = "usr/sbin/policy-rc.d";

fn forbid_services(policy: &Path) -> Result<()> {
    let folder = policy.parent().context("the policy is in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(policy, "#!/bin/sh\nexit 101\n")?;
    Ok(fs::set_permissions(policy, Permissions::from_mode(0o755))?)
}

/// A base in the making.
struct Workshop {
    base: Base,
    suite: String,
}

impl Workshop {
    fn make(&self, recipe: &Recipe) -> Result<()> {
        let began = Instant::now();
        let say = |what: &str| eprintln!("lab: {:4} s: {what}", began.elapsed().as_secs());
        let (root, archive) = (self.base.root(), self.base.archive());
        for folder in [archive.join("partial"), self.base.folder.join("lists/partial")] {
            fs::create_dir_all(folder)?;
        }
        say("debootstrap makes the root");
        self.bootstrap()?;
        say("what is installed in every machine");
        self.apt(&["update"])?;
        // The security archive's, which debootstrap does not know.
        self.apt(&["--download-only", "dist-upgrade"])?;
        let mut install = vec!["--download-only", "--no-install-recommends", "install"];
        install.extend(recipe.installed.iter().map(String::as_str));
        self.apt(&install)?;
        self.index()?;

        fs::remove_dir_all(root.join("etc/apt/sources.list.d"))?;
        fs::create_dir(root.join("etc/apt/sources.list.d"))?;
        fs::write(
            root.join("etc/apt/sources.list"),
            format!("deb [trusted=yes] file:{ARCHIVE_INSIDE} ./\n"),
        )?;
        fs::create_dir_all(root.join(ARCHIVE_INSIDE.trim_start_matches('/')))?;
        forbid_services(&root.join(POLICY))?;
        let inside = Enclosure::start(&self.base.folder)?;
        let in_root = |words: &[&str]| in_root(&inside, &format!("{BASE}/{ROOT}"), words);
        in_root(&["apt-get", "--quiet", "update"])?;
        // A root that is half made is never used, so dpkg need not wait for the disk.
        let apt = ["apt-get", "--quiet", "--yes", "--option", "Dpkg::Options::=--force-unsafe-io"];
        let with = |words: &[&'static str]| [&apt[..], words].concat();
        in_root(&with(&["dist-upgrade"]))?;
        let mut install = with(&["--no-install-recommends", "install"]);
        install.extend(recipe.installed.iter().map(String::as_str));
        in_root(&install)?;
        in_root(&["systemctl", "enable", "systemd-networkd"])?;
        // They would hold apt's locks at a moment of their own choice.
        in_root(&["systemctl", "mask", "apt-daily.timer", "apt-daily-upgrade.timer"])?;

        say("what can be installed");
        for package in &recipe.available {
            self.apt(&["--download-only", "install", package])?;
        }
        self.index()?;
        in_root(&["apt-get", "--quiet", "update"])?;
        in_root(&["apt-get", "clean"])?;
        inside.end()?;
        self.leave()?;
        say("made");
        Ok(())
    }

    /// The root, by debootstrap, which mounts file systems in it: in a namespace, with which they go.
    fn bootstrap(&self) -> Result<()> {
        let (archive, root) = (self.archive_of_suite()?, self.base.root().to_string_lossy().into_owned());
        let proxy =
            Order::new(&["apt-config", "shell", "proxy", "Acquire::http::Proxy"], &[]).expect(0)?.output;
        // wget, which debootstrap calls, does not read what apt is configured with.
        let proxy = proxy.trim().strip_prefix("proxy=").map(|quoted| quoted.trim_matches('\''));
        let proxy = proxy.map(|address| format!("http_proxy={address}")).unwrap_or_default();
        let mut words = vec!["env"];
        words.extend((!proxy.is_empty()).then_some(proxy.as_str()));
        words.extend(["debootstrap", "--variant=minbase", &self.suite, &root, &archive]);
        let way = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];
        let way: Vec<&str> = ON_ITS_OWN.into_iter().chain(["unshare"]).chain(way).collect();
        Order::new(&way, &words).expect(0).context("debootstrap failed")?;
        Ok(())
    }

    /// Where this computer's apt has the suite from.
    fn archive_of_suite(&self) -> Result<String> {
        let format = "$(CODENAME) $(COMPONENT) $(REPO_URI)";
        let targets = Order::new(&["apt-get", "indextargets", "--format"], &[format, "Created-By: Packages"]);
        let listed = targets.expect(0)?.output;
        let wanted = format!("{} main ", self.suite);
        let found = listed.lines().find_map(|line| line.strip_prefix(&wanted));
        found.map(str::to_owned).with_context(|| {
            format!(
                "this computer's apt has no source for {} main; add one to /etc/apt/sources.list and call \
                 apt-get update",
                self.suite
            )
        })
    }

    /// Has this computer's apt resolve and fetch for the root, with lists of its own, so that this computer's stay as they
    /// are.
    fn apt(&self, words: &[&str]) -> Result<()> {
        let folder = self.base.folder.display();
        let options = [
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::State::status={folder}/root/var/lib/dpkg/status"),
            format!("Dir::State::extended_states={folder}/root/var/lib/apt/extended_states"),
            format!("Dir::Cache::archives={folder}/archive"),
            "Dir::Cache::pkgcache=".to_owned(),
            "Dir::Cache::srcpkgcache=".to_owned(),
            // The folder need not be one that the user _apt may enter.
            "APT::Sandbox::User=root".to_owned(),
            // What Debian's own configuration says, and this computer's may not.
            "APT::Install-Recommends=true".to_owned(),
            "APT::Install-Suggests=false".to_owned(),
        ];
        let mut way = ON_ITS_OWN.to_vec();
        way.extend(["apt-get", "--quiet", "--yes"]);
        way.extend(options.iter().flat_map(|option| ["--option", option.as_str()]));
        Order::new(&way, words).expect(0).context("this computer's apt failed")?;
        Ok(())
    }

    /// Lists the archive's packages as apt wants it.
    fn index(&self) -> Result<()> {
        let archive = self.base.archive();
        let way = ["env", "--chdir", &archive.to_string_lossy(), "apt-ftparchive"];
        let listed = Order::new(&way, &["packages", "."]).expect(0)?;
        ensure!(!listed.output.is_empty(), "apt-ftparchive lists no package of {}", archive.display());
        Ok(fs::write(archive.join("Packages"), listed.output)?)
    }

    /// Takes away what was only for the making, and what each machine is to have of its own.
    fn leave(&self) -> Result<()> {
        let root = self.base.root();
        for gone in [POLICY, "etc/resolv.conf", "etc/hostname", "var/lib/dbus/machine-id"] {
            match fs::remove_file(root.join(gone)) {
                Err(error) if error.kind() != ErrorKind::NotFound => bail!("cannot remove {gone}: {error}"),
                _ => {}
            }
        }
        // Empty, and not absent: systemd then makes one up at the first boot, and asks nothing.
        fs::write(root.join("etc/machine-id"), "")?;
        // A journal that is kept over boots.
        fs::create_dir_all(root.join("var/log/journal"))?;
        for gone in [self.base.folder.join("lists"), self.base.archive().join("partial")] {
            fs::remove_dir_all(gone)?;
        }
        Ok(())
    }
}

/// A program that ends when this one does. It runs at most as long as the thread that starts it and waits for it.
const ON_ITS_OWN: [&str; 4] = ["setpriv", "--pdeathsig", "KILL", "--"];

/// Runs a program in the root, which nothing has booted; it must succeed.
fn in_root(inside: &Enclosure, root: &str, words: &[&str]) -> Result<()> {
    let said = inside.run_unbooted("base", root, words)?;
    ensure!(said.status == Some(0), "{} in the new root failed:\n{said}", words.join(" "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_list_is_another_base() {
        let plain = Recipe::default();
        assert_eq!(plain.key("bookworm"), Recipe::default().key("bookworm"));
        assert_ne!(plain.key("bookworm"), plain.key("trixie"));
        assert_ne!(plain.key("bookworm"), plain.clone().with_installed(&["ed"]).key("bookworm"));
        assert_ne!(
            plain.clone().with_installed(&["ed"]).key("bookworm"),
            plain.with_available(&["ed"]).key("bookworm")
        );
    }
}
