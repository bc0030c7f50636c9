# The doors of the house. `make` alone says what there is.

CARGO ?= cargo
BUILT := $(or $(CARGO_TARGET_DIR),target)
AS_USER := $(CURDIR)/tests/as-user
AS_ROOT := $(CURDIR)/tests/as-root
SUDO := $(if $(filter 0,$(shell id -u)),,sudo -E --)
ON_MACHINES := $(if $(SUDO),--config "target.'cfg(unix)'.runner = '$(SUDO)'")

.PHONY: help setup servers build demo test test-network test-faults lab lab-setup lab-test system-test test-definitions \
    test-packages-all soak quick-deb bench bench-apt fuzz fuzz-long deb docs lint

help:
	@echo 'make demo   two hosts register, a real Nagios watches them: a story of ten seconds after the build'
	@echo 'make test   every test: units, fixtures, whole sites; as root also on booted machines'
	@echo 'make test-network  discovery over real multicast, beside avahi-daemon: as root, in namespaces of its own'
	@echo 'make test-faults  every fault at every step, every byte and ten thousand definitions, of which make test tries a part'
	@echo 'make soak   two hundred hosts that change for an hour while everything is killed at random; HOSTS=20 MINUTES=3 is less'
	@echo 'make lab    boot two Debian machines on a network of their own, with a shell in each, as root'
	@echo 'make lab-test  that such machines boot, install and hear each other, as root'
	@echo 'make system-test  the packages on such machines: the use cases, and what happens in the course of years'
	@echo 'make test-definitions  all packages that we ship a definition for, on such machines: what Nagios says of each'
	@echo 'make bench  the promised bounds, measured beside what they are compared with'
	@echo 'make bench-apt  how long apt takes with the packages, beside how long it takes without, on such machines'
	@echo 'make fuzz   fuzz whatever reads what others have written, a minute each (needs a nightly Rust and cargo-fuzz)'
	@echo 'make fuzz-long  the same, ten minutes each; both take TARGETS= where not all of them are wanted'
	@echo 'make deb    the Debian packages, in target/debian, judged by lintian'
	@echo 'make test-packages-all  the lives of the packages in more orders than make system-test has time for, as root'
	@echo 'make docs   write the types into docs/format.md; make test does it too'
	@echo 'make lint   formatting, clippy and documentation, without a single warning'
	@echo
	@echo 'All but docs install missing Debian packages first (tests/setup says which).'

setup:
	@CARGO='$(CARGO)' tests/setup

# What the tests run besides; Postfix among them replaces another mail transport, which no demonstration is worth.
servers:
	@CARGO='$(CARGO)' tests/setup servers

build: setup
	$(CARGO) build --locked --workspace --bins

demo: build
	@$(AS_USER) $(BUILT)/debug/demo

# Whole sites are run by an ordinary user; what only root can set up (a full disk, Postfix), which is ignored at
# first, by root; the others by whoever calls make.
test: servers build docs
	$(CARGO) test --locked --workspace --exclude auto-monitor-tests
	$(CARGO) test --locked --package auto-monitor-tests \
	    --config "target.'cfg(unix)'.runner = ['$(AS_USER)']"
	$(CARGO) test --locked --workspace --lib --bins --tests \
	    --config "target.'cfg(unix)'.runner = ['$(AS_ROOT)']" -- --ignored
	tests/fuzz 10
	@if [ $$(id -u) -eq 0 ] || command -v sudo >/dev/null; then $(MAKE) test-network lab-test system-test; else \
	    echo 'NOT TRIED, because it needs root (call make as root, or install sudo): test-network lab-test system-test'; fi

# As root. avahi is unpacked, not installed, or this machine would have a daemon that announces it.
test-network: servers build
	tests/avahi '$(abspath $(BUILT))/avahi'
	AUTO_MONITOR_AVAHI='$(abspath $(BUILT))/avahi' $(CARGO) test --locked \
	    --package auto-monitor-tests --features network --test network $(ON_MACHINES)

# Of all this, a part is in make test. It takes hours, most of them waiting; the rows are those of the table in docs/faults.md.
test-faults: servers build
	AUTO_MONITOR_FAULTS=every $(CARGO) test --locked --package auto-monitor-tests --test faults --test injection \
	    --config "target.'cfg(unix)'.runner = ['$(AS_USER)']" -- --nocapture --test-threads 8 >'$(BUILT)/faults.txt' || \
	    { cat '$(BUILT)/faults.txt'; exit 1; }
	@grep '^|' '$(BUILT)/faults.txt' | sort

HOSTS ?= 200
MINUTES ?= 60

# Of this, three hosts and half a minute are in make test. SEED=N has the same things done as another run that printed N.
soak: servers build
	AUTO_MONITOR_SOAK='$(HOSTS) $(MINUTES)' $(if $(SEED),AUTO_MONITOR_SEED=$(SEED)) \
	    $(CARGO) test --locked --package auto-monitor-tests --test killed \
	    --config "target.'cfg(unix)'.runner = ['$(AS_USER)']" -- --nocapture

lab-setup:
	@tests/lab-setup

# LAB='NAME FILE.deb NAME …': other machines than the two with the packages of this checkout, and what to install in them.
lab: lab-setup $(if $(LAB),,deb)
	$(CARGO) build --locked --package auto-monitor-tests --features lab --bin lab
	@$(SUDO) $(BUILT)/debug/lab $(LAB)

lab-test: lab-setup
	$(CARGO) test --locked --package auto-monitor-tests --features lab --test lab $(ON_MACHINES)

SYSTEM_TEST = AUTO_MONITOR_PACKAGES='$(abspath $(BUILT))/debian-noopt' \
    $(CARGO) test --locked --package auto-monitor-tests --features lab --test system $(ON_MACHINES) --

# The optimizer and the compression of the packages take longer than all of the tests.
quick-deb:
	DEB_BUILD_OPTIONS='noopt noautodbgsym' DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_COMPRESSOR_LEVEL=1 CARGO='$(CARGO)' tests/deb '$(BUILT)/debian-noopt'

# What is said of the packages is tried on machines that have them. Several at once, because they wait more than they work.
system-test: lab-setup quick-deb
	$(SYSTEM_TEST) --test-threads 6

# Of these a sample is part of system-test.
test-definitions: lab-setup quick-deb
	$(SYSTEM_TEST) --ignored --nocapture definitions::

# What takes half an hour, and memory for fifty machines: 4 GB.
test-packages-all: lab-setup quick-deb
	$(SYSTEM_TEST) --ignored --test-threads 4 packages:: --skip packages::delay::

# How long apt takes with our packages beside how long it takes without.
bench-apt: lab-setup quick-deb
	$(SYSTEM_TEST) --ignored --nocapture --test-threads 1 packages::delay::

# WHAT='crowd publish': only these parts. The figures are in bench.json too. Root's programs are put where nobody else can
# write, as a package puts them: from elsewhere, sshd runs ours by way of env, twice a session.
bench:
	@CARGO='$(CARGO)' tests/setup bench
	$(CARGO) build --locked --workspace --bins --release
	@if [ $$(id -u) -eq 0 ]; then export TMPDIR=/var/lib; fi; \
	    $(AS_USER) $(BUILT)/release/benchmark --json $(WHAT) >'$(BUILT)/bench.json'

# The targets are the files of fuzz/fuzz_targets.
fuzz: setup
	tests/fuzz 60 $(TARGETS)

fuzz-long: setup
	tests/fuzz 600 $(TARGETS)

# It installs what it needs by itself: debhelper, lintian and whatever debian/control asks for.
deb:
	@CARGO='$(CARGO)' tests/deb

# Whoever adds a type needs to know of no document; .ci/run sees that it was committed.
docs:
	@$(CARGO) run --locked --quiet --package monitoring-info --example document

# `cargo fmt` does not find the files that service.rs names in a macro. clippy builds libssh2 too, hence the setup.
lint: setup
	$(CARGO) fmt --all --check
	rustfmt --edition 2024 --check monitoring-info/src/service/*.rs fuzz/src/*.rs fuzz/fuzz_targets/*.rs
	$(CARGO) clippy --locked --workspace --all-targets --features auto-monitor-tests/network,auto-monitor-tests/lab -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps --quiet
