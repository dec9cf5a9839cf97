//! Ceph's object gateway: a second, independent server that speaks S3 and enforces policies. A cluster of one
//! node on loopback, its data in memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::debian::Unpacked;
use crate::mongod::free_port;
use crate::tools::{Missing, run};

/// The Debian packages it comes from.
const PACKAGES: [&str; 4] = ["radosgw", "ceph-mon", "ceph-osd", "ceph-common"];
/// Programs of these packages, to see whether the system has them.
const PROGRAMS: [&str; 4] = ["radosgw", "ceph-mon", "ceph-osd", "ceph-authtool"];
/// What the tests know the answers of.
const VERSION: &str = "16.2";

/// Access key and secret of the user that owns buckets and may do everything with them.
pub const OWNER: (&str, &str) = ("owner", "ownersecret");
/// Access key and secret of a user that may do nothing until a policy says so.
pub const BACKUP: (&str, &str) = ("backup", "backupsecret");

const READY_TRIES: u32 = 120;
const READY_PAUSE: Duration = Duration::from_millis(500);

/// The programs: the system's own, which is `None`, or unpacked.
fn programs() -> Result<Option<Unpacked>, Missing> {
    let there = |program: &str| {
        let found =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_ok()
    };
    if PROGRAMS.into_iter().all(there) { Ok(None) } else { Unpacked::get("ceph", &PACKAGES).map(Some) }
}

/// A running gateway. Dropped, it is ended and its data is gone.
#[derive(Debug)]
pub struct Ceph {
    port: u16,
    // In the order of their start; dropped first, so that they end before their folder.
    daemons: Vec<Daemon>,
    folder: TempDir,
    programs: Option<Unpacked>,
}

impl Ceph {
    /// Starts a cluster of one; takes about two seconds. Blocks.
    ///
    /// # Errors
    /// When its programs cannot be had, are of another version than the tests know, or do not come up.
    pub fn start() -> Result<Self, Missing> {
        let programs = programs()?;
        let failed = |e: std::io::Error| Missing(format!("Ceph cannot be started: {e}"));
        let folder = tempfile::Builder::new().prefix("ceph-").tempdir().map_err(failed)?;
        let (port, monitor) = (free_port().map_err(failed)?, free_port().map_err(failed)?);
        let mut ceph = Self { port, daemons: Vec::new(), folder, programs };
        ceph.need_version()?;
        ceph.prepare(monitor)?;
        ceph.daemon("ceph-mon", &["-i", "a"])?;
        ceph.daemon("ceph-osd", &["-i", "0"])?;
        ceph.daemon("radosgw", &["-n", "client.rgw.a"])?;
        ceph.wait()?;
        ceph.make_users()?;
        Ok(ceph)
    }

    /// Where it is, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments);
        self.settle(&mut command);
        command
    }

    /// Gives a command its folder, configuration and libraries.
    fn settle(&self, command: &mut Command) {
        command.current_dir(self.folder.path()).env("CEPH_CONF", self.path("ceph.conf"));
        if let Some(programs) = &self.programs {
            programs.add_to(command);
        }
    }

    fn need_version(&self) -> Result<(), Missing> {
        let asked = self.command("radosgw", &["--version"]).output();
        let asked = asked.map_err(|e| Missing(format!("radosgw cannot be run: {e}")))?;
        let version = String::from_utf8_lossy(&asked.stdout);
        if version.starts_with(&format!("ceph version {VERSION}.")) {
            return Ok(());
        }
        Err(Missing(format!("the tests know Ceph {VERSION}, and here is `{}`", version.trim())))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), Missing> {
        run(&mut self.command(program, arguments), &format!("run {program}"))
    }

    fn prepare(&self, monitor: u16) -> Result<(), Missing> {
        let failed = |e: std::io::Error| Missing(format!("Ceph cannot be prepared: {e}"));
        let fsid = uuid();
        let conf = configuration(self.folder.path(), self.programs.as_ref(), &fsid, self.port, monitor);
        fs::write(self.path("ceph.conf"), conf).map_err(failed)?;
        for name in ["mon.a", "osd.0", "rgw"] {
            fs::create_dir(self.path(name)).map_err(failed)?;
        }
        let all = ["--cap", "mon", "allow *", "--cap", "osd", "allow *"];
        self.run("ceph-authtool", &["-C", "-g", "-n", "mon.", "--cap", "mon", "allow *", "keyring"])?;
        for name in ["osd.0", "client.rgw.a"] {
            self.run("ceph-authtool", &[&["-g", "-n", name], &all[..], &["keyring"]].concat())?;
        }
        let address = format!("[v2:127.0.0.1:{monitor}]");
        self.run(
            "monmaptool",
            &["--create", "--clobber", "--fsid", &fsid, "--addv", "a", &address, "monmap"],
        )?;
        self.run("osdmaptool", &["--createsimple", "1", "osdmap"])?;
        let maps = ["--monmap", "monmap", "--osdmap", "osdmap", "--keyring", "keyring"];
        self.run("ceph-mon", &[&["--mkfs", "-i", "a"], &maps[..]].concat())?;
        self.run("ceph-osd", &["-i", "0", "--no-mon-config", "--mkfs", "--osd-uuid", &uuid()])
    }

    /// In the foreground, so that it is a child that ends with its owner.
    fn daemon(&mut self, program: &str, arguments: &[&str]) -> Result<(), Missing> {
        let failed = |e: std::io::Error| Missing(format!("{program} cannot be started: {e}"));
        let log = File::create(self.path(&format!("{program}.out"))).map_err(failed)?;
        let arguments = [&["-f"], arguments].concat();
        let started = Daemon::start(program, &arguments, log, |command| self.settle(command));
        self.daemons.push(started.map_err(failed)?);
        Ok(())
    }

    fn wait(&self) -> Result<(), Missing> {
        for _ in 0..READY_TRIES {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(READY_PAUSE);
        }
        let end = |log: &str| {
            let log = fs::read_to_string(self.path(log)).unwrap_or_default();
            log.lines().last().unwrap_or_default().to_owned()
        };
        let ends = ["mon.a.log", "osd.0.log", "client.rgw.a.log"].map(end).join(" | ");
        Err(Missing(format!("Ceph's gateway did not come up: {ends}")))
    }

    fn make_users(&self) -> Result<(), Missing> {
        for (key, secret) in [OWNER, BACKUP] {
            let (id, name) = (format!("--uid={key}"), format!("--display-name={key}"));
            let (key, secret) = (format!("--access-key={key}"), format!("--secret={secret}"));
            self.run("radosgw-admin", &["-n", "client.rgw.a", "user", "create", &id, &name, &key, &secret])?;
        }
        Ok(())
    }
}

impl Drop for Ceph {
    fn drop(&mut self) {
        while let Some(daemon) = self.daemons.pop() {
            drop(daemon);
        }
    }
}

fn uuid() -> String {
    let hex = hex::encode(rand::random::<[u8; 16]>());
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// One node, one copy of everything, in memory; a fixed key makes SSE-S3 work without a key server.
fn configuration(folder: &Path, programs: Option<&Unpacked>, fsid: &str, port: u16, monitor: u16) -> String {
    const KEY: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
    let folder = folder.display();
    let plugins = programs.map(|programs| {
        let (plugins, classes) = (programs.library("ceph"), programs.library("rados-classes"));
        let (plugins, classes) = (plugins.display(), classes.display());
        format!(
            "plugin_dir = {plugins}\nerasure_code_dir = {plugins}/erasure-code\nosd_class_dir = {classes}"
        )
    });
    let lines = [
        "[global]".to_owned(),
        format!("fsid = {fsid}"),
        "mon_initial_members = a".to_owned(),
        format!("mon_host = [v2:127.0.0.1:{monitor}]"),
        "public_addr = 127.0.0.1\ncluster_addr = 127.0.0.1\nms_bind_ipv4 = true".to_owned(),
        "auth_cluster_required = cephx\nauth_service_required = cephx\nauth_client_required = cephx"
            .to_owned(),
        "auth_allow_insecure_global_id_reclaim = false".to_owned(),
        "osd_pool_default_size = 1\nosd_pool_default_min_size = 1".to_owned(),
        "osd_pool_default_pg_num = 4\nosd_pool_default_pgp_num = 4".to_owned(),
        "osd_crush_chooseleaf_type = 0\nmon_allow_pool_size_one = true".to_owned(),
        "mon_warn_on_pool_no_redundancy = false\nmon_max_pg_per_osd = 1000\nmon_pg_warn_min_per_osd = 0"
            .to_owned(),
        "osd_objectstore = memstore\nmemstore_device_bytes = 4294967296".to_owned(),
        format!("run_dir = {folder}\nadmin_socket = {folder}/$name.asok\nlog_file = {folder}/$name.log"),
        format!("pid_file = {folder}/$name.pid\nkeyring = {folder}/keyring"),
        // Every change of the cluster's maps waits this many seconds.
        "paxos_propose_interval = 0.05\nmon_cluster_log_to_file = false".to_owned(),
        // A disk that is nearly full is no reason not to start: nothing of size is written to it.
        "mon_data_avail_crit = 0\nmon_data_avail_warn = 0".to_owned(),
        plugins.unwrap_or_default(),
        format!("[mon.a]\nmon_data = {folder}/mon.a\n[osd.0]\nosd_data = {folder}/osd.0"),
        format!("[client.rgw.a]\nrgw_data = {folder}/rgw"),
        format!("rgw_frontends = beast endpoint=127.0.0.1:{port}"),
        format!(
            "rgw_crypt_require_ssl = false\nrgw_crypt_default_encryption_key = {KEY}\nrgw_verify_ssl = false"
        ),
    ];
    lines.join("\n") + "\n"
}
