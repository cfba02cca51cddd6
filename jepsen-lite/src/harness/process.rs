//! One child process: started, stopped, paused, killed, and never left behind.
//!
//! Children carry `PR_SET_PDEATHSIG`, so they die with the test program even when that is killed itself. The kernel
//! sends that signal when the *thread* that spawned the child ends, not the process; all children are therefore spawned
//! by one thread that lives as long as the program, for otherwise the end of a runtime's worker would kill a node that
//! a test still needs.

use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::harness::clock;

type Job = (Command, mpsc::Sender<io::Result<Child>>);

/// Spawns on the thread that outlives every test.
fn spawn(mut command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<std::sync::Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    let parent = std::process::id();
    // SAFETY: between fork and exec only the async-signal-safe prctl, getppid and _exit are called, and nothing is
    // allocated.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have ended before the request was in force.
            if libc::getppid() as u32 != parent {
                libc::_exit(1);
            }
            Ok(())
        });
    }
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        std::sync::Mutex::new(jobs)
    });
    let (answer, inbox) = mpsc::channel();
    let program = command.get_program().to_owned();
    spawner
        .lock()
        .expect("sending into a channel does not panic")
        .send((command, answer))
        .context("the spawning thread ended")?;
    inbox.recv().context("the spawning thread ended")?.with_context(|| format!("starting {}", program.display()))
}

/// A command that does not inherit the store's settings from whoever runs the tests.
pub fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("QUIVER_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Lets a process have at most so many descriptors, soft and hard.
pub fn limit_descriptors(command: &mut Command, most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: between fork and exec only the async-signal-safe setrlimit is called, on a value that the closure owns.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_NOFILE, &limit) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

/// A running child, killed and reaped when this is dropped.
#[derive(Debug)]
pub struct ChildProcess {
    child: Child,
    /// Whether it runs on a clock that was made for it.
    has_clock: bool,
}

impl ChildProcess {
    /// Starts `command`, its standard output and error appended to two files.
    pub fn start(mut command: Command, stdout: &Path, stderr: &Path) -> Result<Self> {
        let append = |path: &Path| File::options().create(true).append(true).open(path);
        command.stdout(append(stdout).with_context(|| format!("opening {}", stdout.display()))?);
        command.stderr(append(stderr).with_context(|| format!("opening {}", stderr.display()))?);
        let has_clock = command.get_envs().any(|(name, _)| name.to_string_lossy().starts_with("FAKETIME"));
        Ok(Self { child: spawn(command)?, has_clock })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, e.g. `libc::SIGSTOP`. A process that has ended already is not an error.
    pub fn signal(&mut self, signal: i32) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // SAFETY: kill has no memory effects; the child is not reaped yet, so the id is still its own.
            unsafe { libc::kill(self.child.id() as i32, signal) };
        }
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL, and waits until the kernel has taken the process apart (its locks and ports are free after that).
    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        let _ = self.child.wait();
        if self.has_clock {
            clock::forget(self.pid());
        }
    }

    /// Waits for the process to end by itself.
    pub async fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if start.elapsed() > patience {
                bail!("process {} still runs after {patience:?}", self.pid());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a command-line verb printed and how it ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output, lossily decoded.
    pub stdout: String,
    /// Standard error, lossily decoded.
    pub stderr: String,
}

/// Runs a command to its end (or kills it after `patience`) and returns what it printed.
pub async fn run(command: Command, patience: Duration) -> Result<Finished> {
    let dir = tempfile::Builder::new().prefix("quiver-verb-").tempdir()?;
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let mut process = ChildProcess::start(command, &out, &err)?;
    let status = process.wait(patience).await;
    process.kill();
    let read = |path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let (stdout, stderr) = (read(&out)?, read(&err)?);
    let status = status.with_context(|| format!("it printed:\n{stdout}{stderr}"))?;
    Ok(Finished { code: status.code(), signal: status.signal(), stdout, stderr })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = clean_command(Path::new("/bin/sh"));
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_verb_is_captured_with_its_exit_code() {
        let finished = run(shell("echo out; echo err >&2; exit 3"), Duration::from_secs(10)).await.unwrap();
        assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (Some(3), "out\n", "err\n"));
    }

    #[tokio::test]
    async fn a_verb_that_hangs_is_killed_and_what_it_printed_is_told() {
        let error = run(shell("echo started; sleep 60"), Duration::from_millis(200)).await.unwrap_err();
        assert!(format!("{error:#}").contains("started"), "{error:#}");
    }

    #[tokio::test]
    async fn a_process_gets_no_more_descriptors_than_it_may_have() {
        let mut command = shell("ulimit -Sn; ulimit -Hn");
        limit_descriptors(&mut command, 77);
        assert_eq!(run(command, Duration::from_secs(10)).await.unwrap().stdout, "77\n77\n");
    }

    #[tokio::test]
    async fn a_paused_process_does_not_end_and_a_resumed_one_does() {
        let dir = tempfile::tempdir().unwrap();
        let mut process =
            ChildProcess::start(shell("sleep 0.2"), &dir.path().join("o"), &dir.path().join("e")).unwrap();
        process.signal(libc::SIGSTOP);
        assert!(process.wait(Duration::from_millis(500)).await.is_err());
        process.signal(libc::SIGCONT);
        assert!(process.wait(Duration::from_secs(10)).await.unwrap().success());
    }
}
