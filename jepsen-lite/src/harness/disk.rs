//! A disk that can lose its power: a loop-mounted ext4 image and the ioctl that shuts a mounted ext4 down without
//! flushing its log.
//!
//! `kill -9` never finds a missing sync, for the page cache outlives the process. [`LoopDisk::cut_power`] does: after
//! it every read and write gives EIO, and after [`LoopDisk::restore_power`] only what was synced, or what the journal
//! had committed by itself, is there. The journal's own commits are put off (`commit=300`) so that a store that does
//! not sync cannot be saved by luck.
//!
//! Root only. Everything is undone on drop, on a panic too; what a killed test program left is swept up by the next
//! one.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)` of the kernel's `fs/ext4/ext4.h`.
const EXT4_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: the journal is not flushed either.
const NO_LOG_FLUSH: u32 = 2;
/// `FIFREEZE` and `FITHAW`, `_IOWR('X', 119 and 120, int)` of the kernel's `include/uapi/linux/fs.h`.
const FIFREEZE: libc::c_ulong = 0xc004_5877;
const FITHAW: libc::c_ulong = 0xc004_5878;
/// What fills a disk up.
const BALLAST: &str = "ballast";
const PREFIX: &str = "quiver-disk-";

/// Why there is no disk.
#[derive(Debug)]
pub enum NoDisk {
    /// This machine cannot make one; the test is to be skipped, loudly.
    Skip(String),
    /// It should have worked.
    Failed(io::Error),
}

impl From<io::Error> for NoDisk {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// One mounted image.
#[derive(Debug)]
pub struct LoopDisk {
    image: PathBuf,
    mount: PathBuf,
    mounted: bool,
    frozen: bool,
}

impl LoopDisk {
    /// Makes a sparse image of `mib` MiB, formats and mounts it.
    pub fn create(mib: u64) -> Result<Self, NoDisk> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        check_possible().map_err(NoDisk::Skip)?;
        sweep_abandoned();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let stem = std::env::temp_dir().join(format!("{PREFIX}{}-{number}", std::process::id()));
        let mut disk = Self {
            image: stem.with_extension("img"),
            mount: stem.with_extension("mnt"),
            mounted: false,
            frozen: false,
        };
        File::create(&disk.image)?.set_len(mib << 20)?;
        std::fs::create_dir_all(&disk.mount)?;
        tool(Command::new("mkfs.ext4").args(["-q", "-F", "-E", "nodiscard"]).arg(&disk.image))?;
        // Where loop devices are forbidden (a container without them) this is the first to know.
        disk.mount_image().map_err(|error| NoDisk::Skip(format!("mounting a loop device: {error}")))?;
        Ok(disk)
    }

    /// Where the file system is.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// The power goes: nothing that is not on the disk gets there any more. Processes that use it get EIO.
    pub fn cut_power(&self) -> io::Result<()> {
        let root = File::open(&self.mount)?;
        // SAFETY: the request reads one u32 through the pointer, which lives until the call returns.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), EXT4_IOC_SHUTDOWN as _, &NO_LOG_FLUSH) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The power is back: unmounts and mounts again, which replays the journal. No process may have files open here.
    pub fn restore_power(&mut self) -> io::Result<()> {
        self.unmount(40)?;
        self.mount_image()
    }

    /// The disk hangs: who writes or syncs waits until [`LoopDisk::thaw`], and gets no error.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.control(FIFREEZE)?;
        self.frozen = true;
        Ok(())
    }

    /// The disk answers again.
    pub fn thaw(&mut self) -> io::Result<()> {
        self.control(FITHAW)?;
        self.frozen = false;
        Ok(())
    }

    fn control(&self, request: libc::c_ulong) -> io::Result<()> {
        let root = File::open(&self.mount)?;
        // SAFETY: the request takes no argument that it would follow.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), request as _, 0) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Takes all the room there is left, until [`LoopDisk::free`].
    pub fn fill(&self) -> io::Result<()> {
        let ballast = File::create(self.mount.join(BALLAST))?;
        let (mut length, mut step) = (0, 64 << 20);
        while step >= 4096 {
            // SAFETY: the call reads its arguments alone, and the descriptor is open until it returns.
            match unsafe { libc::posix_fallocate(ballast.as_raw_fd(), length, step) } {
                0 => length += step,
                libc::ENOSPC => step /= 2,
                error => return Err(io::Error::from_raw_os_error(error)),
            }
        }
        Ok(())
    }

    /// Gives back what [`LoopDisk::fill`] took.
    pub fn free(&self) -> io::Result<()> {
        std::fs::remove_file(self.mount.join(BALLAST))
    }

    fn mount_image(&mut self) -> io::Result<()> {
        tool(Command::new("mount").args(["-t", "ext4", "-o", "loop,commit=300"]).arg(&self.image).arg(&self.mount))?;
        self.mounted = true;
        Ok(())
    }

    /// The kernel frees the files of a killed process a moment after the process is gone, hence several attempts.
    fn unmount(&mut self, attempts: u32) -> io::Result<()> {
        let mut result = Ok(());
        for _ in 0..attempts {
            result = tool(Command::new("umount").arg(&self.mount));
            if result.is_ok() {
                self.mounted = false;
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        result
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        if self.frozen {
            let _ = self.thaw();
        }
        if self.mounted && self.unmount(20).is_err() {
            // Lazily: the loop device goes when the last user does.
            let _ = tool(Command::new("umount").arg("-l").arg(&self.mount));
        }
        let _ = std::fs::remove_dir(&self.mount);
        let _ = std::fs::remove_file(&self.image);
    }
}

/// Says why this machine cannot do it, if it cannot.
fn check_possible() -> Result<(), String> {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return Err("only root can mount a loop device".to_owned());
    }
    for program in ["mkfs.ext4", "mount", "umount"] {
        if Command::new(program).arg("-V").output().is_err() {
            return Err(format!("{program} is not installed (Debian: e2fsprogs, mount)"));
        }
    }
    Ok(())
}

/// Unmounts and deletes the disks of test programs that no longer run, wherever those had their temporary directory.
fn sweep_abandoned() {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounted = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    for path in mounted.filter(|path| is_abandoned(path)) {
        let _ = tool(Command::new("umount").arg("-l").arg(&path));
    }
    let here = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in here.filter(|path| is_abandoned(path)) {
        let _ = if path.is_dir() { std::fs::remove_dir(&path) } else { std::fs::remove_file(&path) };
    }
}

/// Whether this is an image or a mount of a program that no longer runs.
fn is_abandoned(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let owner =
        name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()).and_then(|pid| pid.parse::<u32>().ok());
    owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

fn tool(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{}: {words}", command.get_program().to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_was_synced_outlives_the_power_and_what_was_not_does_not_and_a_full_disk_is_full() {
        let mut disk = match LoopDisk::create(64) {
            Ok(disk) => disk,
            Err(NoDisk::Skip(why)) => return println!("SKIPPED power loss: {why}"),
            Err(NoDisk::Failed(error)) => panic!("{error}"),
        };
        let mut synced = File::create(disk.path().join("synced")).unwrap();
        synced.write_all(b"kept").unwrap();
        synced.sync_all().unwrap();
        std::fs::write(disk.path().join("unsynced"), b"lost").unwrap();
        disk.cut_power().unwrap();
        assert!(std::fs::write(disk.path().join("later"), b"x").is_err());
        drop(synced);
        disk.restore_power().unwrap();
        assert_eq!(std::fs::read(disk.path().join("synced")).unwrap(), b"kept");
        let lost = std::fs::read(disk.path().join("unsynced")).unwrap_or_default();
        assert!(lost.is_empty(), "a power loss that loses nothing tests nothing");
        disk.fill().unwrap();
        let full = std::fs::write(disk.path().join("more"), [1; 64 << 10]).unwrap_err();
        assert_eq!(full.raw_os_error(), Some(libc::ENOSPC));
        disk.free().unwrap();
        std::fs::write(disk.path().join("more"), [1; 64 << 10]).unwrap();
        disk.freeze().unwrap();
        let file = disk.path().join("late");
        let late = std::thread::spawn(move || std::fs::write(file, b"x"));
        std::thread::sleep(Duration::from_millis(200));
        assert!(!late.is_finished(), "a disk that hangs answers nobody");
        disk.thaw().unwrap();
        late.join().unwrap().unwrap();
        let (image, mount) = (disk.image.clone(), disk.mount.clone());
        drop(disk);
        assert!(!image.exists() && !mount.exists());
    }
}
