//! One child process of this binary: it starts with a clean environment, logs to a file, and ends with its parent.
//!
//! In: arguments and the path of a log. Out: a child that can be signalled, awaited and started again. Knows no
//! cluster.

use anyhow::Context;
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A child and what is needed to start it again.
pub(crate) struct ChildProcess {
    args: Vec<String>,
    log: PathBuf,
    child: Child,
    /// `true` once this process has ended the child, or its end has been reported.
    settled: bool,
}

impl ChildProcess {
    /// Starts this same binary with `args`. Its stdout and stderr are appended to `log`.
    ///
    /// Call it on a thread that lives as long as the process: the child asks to die with the *thread* that started it,
    /// as Linux defines `PR_SET_PDEATHSIG`.
    pub(crate) fn start(args: Vec<String>, log: PathBuf) -> anyhow::Result<Self> {
        let child = spawn(&args, &log)?;
        Ok(Self { args, log, child, settled: false })
    }

    /// Kills the child if it runs, and starts it again with the same arguments.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        (self.child, self.settled) = (spawn(&self.args, &self.log)?, false);
        Ok(())
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log file.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// A message if the child has ended by itself. Each end is told once.
    pub(crate) fn died(&mut self) -> Option<String> {
        let status = self.ended().filter(|_| !self.settled)?;
        self.settled = true;
        let cause = match (status.signal(), status.code()) {
            (Some(signal), _) => format!("was ended by signal {signal}"),
            (None, code) => format!("ended with exit code {}", code.unwrap_or_default()),
        };
        Some(format!("{cause}; the end of its log, {}:\n{}", self.log.display(), self.tail()))
    }

    /// Sends SIGKILL, and waits until the kernel has removed the process. Its ports and locks are free then.
    pub(crate) fn kill(&mut self) {
        self.settled = true;
        // Both only fail for a child that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&mut self) {
        self.settled = true;
        self.signal(libc::SIGTERM);
    }

    /// Sends SIGSTOP: the process keeps its ports and its memory, and does nothing.
    pub(crate) fn pause(&mut self) {
        self.signal(libc::SIGSTOP);
    }

    /// Sends SIGCONT.
    pub(crate) fn resume(&mut self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&mut self, signal: i32) {
        if self.ended().is_none() {
            // SAFETY: no memory is touched. The child has not been reaped, so the id is still its own.
            unsafe { libc::kill(self.child.id() as i32, signal) };
        }
    }

    /// Waits for the child's end until `deadline`, and then kills it.
    pub(crate) async fn gone(&mut self, deadline: Instant) {
        while self.ended().is_none() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.kill();
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].iter().map(|line| format!("  | {line}\n")).collect()
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(args: &[String], log: &Path) -> anyhow::Result<Child> {
    let binary = std::env::current_exe().context("cannot find this binary")?;
    let append = || File::options().create(true).append(true).open(log);
    let open = || append().with_context(|| format!("cannot write {}", log.display()));
    let mut command = Command::new(&binary);
    command.args(args).stdin(Stdio::null()).stdout(open()?).stderr(open()?);
    // The child has its own process group. So Ctrl-C reaches only this process, which stops the children in good order.
    command.process_group(0);
    // Variables of this process are not meant for its children.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUIVER_")) {
        command.env_remove(name);
    }
    die_with_parent(&mut command);
    command.spawn().with_context(|| format!("cannot start {}", binary.display()))
}

/// Has the kernel kill the child when this process ends, in whatever way.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: between fork and exec only prctl, getppid and _exit are called, which are async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // The parent may have ended before the request was in force.
            if libc::getppid() as u32 != parent {
                libc::_exit(1);
            }
            Ok(())
        });
    }
}

/// Other kernels have no such request. There, children outlive a parent that is killed with SIGKILL.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}
