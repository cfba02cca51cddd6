//! The attackers as a process of their own, which gets only the CPU time that nobody else wants.
//!
//! Attackers, nodes and the good client share the CPUs of one machine. At the same priority the good client would wait for
//! the attackers' own work, and the table would tell of the harness. [`attack`] is that process, started by [`Apart`]
//! as the hidden verb `attackers` of this command. It attacks until its standard input ends, and then tells what it did.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::descriptors::raise_descriptors;
use super::{Assault, Traffic, WrongAnswers, moves};

/// The name of the hidden verb.
pub const VERB: &str = "attackers";
/// What the process says once it attacks.
const BEGUN: &str = "begun";
/// How long it may take until it says so, on a machine whose CPUs are all wanted by others.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);

/// What attackers did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AttackOutcome {
    /// Moves that came to their end.
    pub moves: u64,
    /// Connections, and bytes there and back.
    pub traffic: Traffic,
    /// CPU time that they had, in seconds.
    pub cpu: f64,
    /// What the node did not give that it owes.
    pub wrong: WrongAnswers,
}

/// An attack by another process; it ends when this is dropped.
#[derive(Debug)]
pub struct Apart {
    child: Child,
    told: BufReader<std::process::ChildStdout>,
}

impl Apart {
    /// Begins the attack of this name, and returns once it is under way. Blocks.
    ///
    /// # Errors
    /// A process that does not start, or that cannot have the lowest priority.
    pub fn start(name: &str, address: SocketAddr, crowd: usize) -> Result<Self> {
        let began = Instant::now();
        let mut command = Command::new(std::env::current_exe().context("this program's own file is not known")?);
        command.args([VERB, "--name", name, "--address", &address.to_string(), "--crowd", &crowd.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting attackers")?;
        let mut told = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        told.read_line(&mut line).context("listening to the attackers")?;
        let begun = Self { child, told };
        ensure!(line.trim() == BEGUN, "the attackers did not begin");
        ensure!(began.elapsed() < BEGINS_WITHIN, "the attackers got no CPU time: what they do would be no attack");
        Ok(begun)
    }

    /// Ends it. Blocks.
    ///
    /// # Errors
    /// A process that ended by itself.
    pub fn stop(mut self) -> Result<AttackOutcome> {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.told.read_line(&mut line).context("listening to the attackers")?;
        serde_json::from_str(&line).with_context(|| format!("the attackers ended, and said {line:?}"))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Attacks until standard input ends, and prints what was done: the whole life of the process.
///
/// # Errors
/// A name that no attack has, or a machine without a lowest priority.
pub fn attack(name: &str, address: SocketAddr, crowd: usize) -> Result<()> {
    // Before the runtime's threads start, since they inherit it.
    take_lowest_priority()?;
    raise_descriptors();
    let attack = moves::attacks(address).into_iter().find(|attack| attack.name == name);
    let attack = attack.with_context(|| format!("no attack is called {name:?}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let assault = runtime.block_on(async { Assault::start(&attack, address, crowd) });
    // The other side begins to measure at this word, and ends the attack by closing standard input.
    println!("{BEGUN}");
    let _end = std::io::stdin().read_to_end(&mut Vec::new());
    let (moves, traffic) = (assault.made(), assault.traffic());
    let wrong = runtime.block_on(assault.stop());
    let done = AttackOutcome { moves, traffic, cpu: cpu_seconds(), wrong };
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::to_string(&done)?)?;
    Ok(out.flush()?)
}

/// From now on this thread, and those that it starts, give way to everyone else. Niceness alone leaves one in 70 parts of a
/// CPU to them, and lets them end their slice while the good client waits: the idle policy does neither.
fn take_lowest_priority() -> Result<()> {
    let idle = libc::sched_param { sched_priority: 0 };
    // SAFETY: both calls only read the value that they are given, which outlives them, and set what the kernel keeps of
    // this thread.
    let (nice, policy) = unsafe {
        (libc::setpriority(libc::PRIO_PROCESS, 0, 19), libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const idle))
    };
    ensure!(nice == 0 && policy == 0, "no lowest priority: {}", std::io::Error::last_os_error());
    Ok(())
}

/// CPU time that this process has had, in seconds.
fn cpu_seconds() -> f64 {
    // SAFETY: a rusage of zeros is one; getrusage only writes to the value that it is given.
    let used = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut used);
        used
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(used.ru_utime) + seconds(used.ru_stime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_priority_is_that_of_threads_that_come_later_too() {
        let seen = std::thread::spawn(|| {
            take_lowest_priority().unwrap();
            let later = || {
                // SAFETY: both calls only read what the kernel keeps of this thread.
                unsafe { (libc::getpriority(libc::PRIO_PROCESS, 0), libc::sched_getscheduler(0)) }
            };
            std::thread::spawn(later).join().unwrap()
        });
        assert_eq!(seen.join().unwrap(), (19, libc::SCHED_IDLE));
    }
}
