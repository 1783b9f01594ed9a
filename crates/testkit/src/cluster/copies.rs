//! Copies of a cluster that are made of its files: standbys, clones, backups, upgrades.

use std::process::Command;
use std::sync::Mutex;

use super::Cluster;
use super::place::{keeper, new_directory};

impl Cluster {
    /// Starts a standby that follows this cluster.
    pub fn start_standby(&self) -> Cluster {
        self.start_copy(&["--write-recovery-conf"], &[])
    }

    /// Starts a clone of this cluster: it has the same data and the same system identifier, and both accept writes.
    pub fn start_clone(&self, settings: &[(&str, &str)]) -> Cluster {
        self.start_copy(&[], settings)
    }

    fn start_copy(&self, options: &[&str], settings: &[(&str, &str)]) -> Cluster {
        let (programs, owner) = (self.programs.clone(), self.owner);
        let directory = new_directory(owner);
        let keeper = keeper(&programs, &directory, owner);
        let copy = Cluster { programs, directory, owner, surroundings: None, server: Mutex::new(None), keeper };
        let mut backup = self.program("pg_basebackup");
        self.must(backup.args(["--checkpoint=fast", "--no-sync"]).args(options).arg("--pgdata").arg(copy.data()));
        copy.write_settings(&[("unix_socket_directories", copy.directory.to_str().expect("a directory in UTF-8"))]);
        copy.write_settings(settings);
        copy.start_again();
        copy
    }

    /// Copies the files of the cluster, whose server is stopped, for [`Cluster::put_back_files`].
    pub fn save_files(&self) {
        self.must(Command::new("cp").arg("-a").arg(self.data()).arg(self.directory.join("saved")));
    }

    /// Replaces the files of the cluster, whose server is stopped, by those that were saved.
    pub fn put_back_files(&self) {
        self.must(Command::new("rm").arg("-r").arg(self.data()));
        self.must(Command::new("cp").arg("-a").arg(self.directory.join("saved")).arg(self.data()));
    }

    /// Upgrades this cluster, whose server is stopped, with `pg_upgrade` to a new cluster, and starts that. Both have
    /// the same version, because only one is staged.
    pub fn start_upgraded(&self, settings: &[(&str, &str)]) -> Cluster {
        let new = Cluster::new(None, settings);
        let mut upgrade = self.program("pg_upgrade");
        upgrade.current_dir(&new.directory).args(["--username=postgres", "--socketdir"]).arg(&new.directory);
        upgrade.arg("--old-bindir").arg(&self.programs).arg("--new-bindir").arg(&new.programs);
        upgrade.arg("--old-datadir").arg(self.data()).arg("--new-datadir").arg(new.data());
        self.must(&mut upgrade);
        new.start_again();
        new
    }
}
