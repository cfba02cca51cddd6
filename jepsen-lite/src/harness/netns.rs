//! Nodes in network namespaces of their own, joined by a bridge, so that the kernel loses what one of them sends another: its
//! connections stay open and hear nothing, as on a network whose cable was pulled.
//!
//! Root only. Nothing here has a name that outlives its user: this process moves into a namespace of its own, where the bridge
//! is, and the nodes' namespaces are open files of this process. However it ends, `kill -9` included, the kernel takes them
//! apart with it; and nothing of them can be reached from outside.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result, ensure};

/// The network of all nodes, and the bridge's own address in it, at which the clients are.
const NETWORK: [u8; 3] = [10, 99, 0];
const HUB: u8 = 254;

/// The interface in each node's namespace, and the bridge.
const INTERFACE: &str = "eth0";
const BRIDGE: &str = "hub";

/// A hardware address that nobody has: what is sent to it is lost.
const NOBODY: &str = "02:00:00:00:00:00";

/// Whether this process is in a namespace of its own, or why it is not.
static ENTERED: OnceLock<Result<(), String>> = OnceLock::new();

/// Moves the calling thread, and all that are begun from it, into a network namespace with nothing but a loopback interface
/// and the bridge. To be called before any other thread is begun; later calls say what came of the first.
///
/// # Errors
/// In words, where this machine cannot do that.
pub fn enter() -> Result<(), String> {
    let entered = ENTERED.get_or_init(|| {
        // SAFETY: no memory is touched.
        if unsafe { libc::geteuid() } != 0 {
            return Err("network namespaces take root".to_owned());
        }
        if Command::new("ip").arg("-V").output().is_err() {
            return Err("`ip` is not installed (Debian: iproute2)".to_owned());
        }
        let hub = format!("{}/24", address(HUB));
        unshare().map_err(|error| format!("no network namespace can be made: {error}"))?;
        let made = ip(None, &["link", "set", "lo", "up"])
            .and_then(|()| ip(None, &["link", "add", BRIDGE, "type", "bridge"]))
            .and_then(|()| ip(None, &["addr", "add", &hub, "dev", BRIDGE]))
            .and_then(|()| ip(None, &["link", "set", BRIDGE, "up"]));
        made.map_err(|error| format!("no bridge can be made: {error:#}"))
    });
    entered.clone()
}

/// The nodes' namespaces and what is lost between them.
#[derive(Debug, Default)]
pub struct Lan {
    spaces: Mutex<Vec<File>>,
    /// Directed: from, to.
    lost: Mutex<BTreeSet<(usize, usize)>>,
}

impl Lan {
    /// A network without nodes.
    ///
    /// # Errors
    /// In words, where this process has not moved into a namespace, for whatever reason.
    pub fn new() -> Result<Self, String> {
        let entered = ENTERED.get().cloned();
        entered.unwrap_or_else(|| Err("this process is in no network namespace of its own".to_owned()))?;
        Ok(Self::default())
    }

    /// The address of a node, whose namespace is made where there is none yet.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn join(&self, index: usize) -> Result<Ipv4Addr> {
        ensure!(index + 1 < usize::from(HUB), "that many nodes have no room in one network");
        let mut spaces = self.spaces.lock().expect("nobody panics with it");
        while spaces.len() <= index {
            let space = new_space()?;
            plug(&space, spaces.len()).with_context(|| format!("plugging node{} in", spaces.len() + 1))?;
            spaces.push(space);
        }
        Ok(address_of(index))
    }

    /// Has a command run in the namespace of a node that has joined.
    pub fn place(&self, index: usize, command: &mut Command) {
        // The file stays open as long as this does, which outlives the start of any node.
        inside(self.spaces.lock().expect("nobody panics with it")[index].as_raw_fd(), command);
    }

    /// From now on all that node `from` sends to node `to` is lost.
    ///
    /// # Errors
    /// Where the kernel does not take it.
    pub fn lose(&self, from: usize, to: usize) -> Result<()> {
        self.lost.lock().expect("nobody panics with it").insert((from, to));
        let to = address_of(to).to_string();
        self.ip(from, &["neigh", "replace", &to, "lladdr", NOBODY, "dev", INTERFACE, "nud", "permanent"])
    }

    /// Nothing is lost any more.
    ///
    /// # Errors
    /// Where the kernel does not take it.
    pub fn heal(&self) -> Result<()> {
        let lost = std::mem::take(&mut *self.lost.lock().expect("nobody panics with it"));
        lost.into_iter()
            .try_for_each(|(from, to)| self.ip(from, &["neigh", "del", &address_of(to).to_string(), "dev", INTERFACE]))
    }

    fn ip(&self, index: usize, args: &[&str]) -> Result<()> {
        ip(Some(&self.spaces.lock().expect("nobody panics with it")[index]), args)
    }
}

fn address(last: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, last)
}

fn address_of(index: usize) -> Ipv4Addr {
    // `join` lets nobody in beyond that.
    address(u8::try_from(index + 1).unwrap_or(HUB - 1))
}

fn unshare() -> io::Result<()> {
    // SAFETY: no memory is touched.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A namespace that exists as long as the file is open or a process is in it.
fn new_space() -> Result<File> {
    let made = std::thread::spawn(|| {
        unshare()?;
        File::open("/proc/thread-self/ns/net")
    });
    let made = made.join().map_err(|_| anyhow::anyhow!("the thread that makes a namespace panicked"))?;
    made.context("making a network namespace")
}

/// Lays a cable from the bridge, where the calling thread is, to the namespace of a node.
fn plug(space: &File, index: usize) -> Result<()> {
    let (port, at) = (format!("node{}", index + 1), format!("{}/24", address_of(index)));
    // SAFETY: no memory is touched.
    let here = unsafe { libc::gettid() }.to_string();
    ip(Some(space), &["link", "set", "lo", "up"])?;
    ip(Some(space), &["link", "add", INTERFACE, "type", "veth", "peer", "name", &port, "netns", &here])?;
    ip(Some(space), &["addr", "add", &at, "dev", INTERFACE])?;
    ip(Some(space), &["link", "set", INTERFACE, "up"])?;
    ip(None, &["link", "set", &port, "master", BRIDGE, "up"])
}

/// Runs `ip` in a namespace, or where the calling thread is.
fn ip(space: Option<&File>, args: &[&str]) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(args);
    if let Some(space) = space {
        inside(space.as_raw_fd(), &mut command);
    }
    let done = command.output().context("running `ip`")?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "`ip {}`: {}", args.join(" "), said.trim());
    Ok(())
}

/// Has a command run in the namespace that this descriptor, open until the command has begun, is of.
fn inside(space: i32, command: &mut Command) {
    // SAFETY: between fork and exec only the system call is made, and nothing is allocated.
    unsafe {
        command.pre_exec(move || match libc::setns(space, libc::CLONE_NEWNET) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    /// What `work` returns, done in a node's namespace.
    fn run_in_namespace<T: Send>(lan: &Lan, index: usize, work: impl FnOnce() -> T + Send) -> T {
        let space = lan.spaces.lock().unwrap()[index].as_raw_fd();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                // SAFETY: no memory is touched.
                assert_eq!(unsafe { libc::setns(space, libc::CLONE_NEWNET) }, 0);
                work()
            });
            thread.join().unwrap()
        })
    }

    fn networks() -> Lan {
        let lan = Lan::new().unwrap();
        assert_eq!(lan.join(1).unwrap(), Ipv4Addr::new(10, 99, 0, 2));
        let reaches = |by: usize, to: usize| {
            let target = (address_of(to), 1).into();
            // Nobody listens, and is refused at once where the refusal gets through.
            let answer = run_in_namespace(&lan, by, || TcpStream::connect_timeout(&target, Duration::from_secs(3)));
            answer.unwrap_err().kind() == io::ErrorKind::ConnectionRefused
        };
        assert!(reaches(0, 1) && reaches(1, 0));
        lan.lose(0, 1).unwrap();
        assert!(!reaches(0, 1), "what is sent is lost");
        assert!(!reaches(1, 0), "what is answered is lost");
        lan.heal().unwrap();
        assert!(reaches(0, 1) && reaches(1, 0));
        let server = run_in_namespace(&lan, 0, || TcpListener::bind((address_of(0), 0)).unwrap());
        lan.lose(0, 1).unwrap();
        let hub = TcpStream::connect_timeout(&server.local_addr().unwrap(), Duration::from_secs(3));
        assert!(hub.is_ok(), "clients reach a node that is cut off from others: {hub:?}");
        lan
    }

    /// On a thread of its own, which alone moves.
    #[test]
    fn what_is_lost_is_lost_in_one_direction_and_nothing_is_left() {
        let before = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let there = std::thread::spawn(|| match enter() {
            Ok(()) => drop(networks()),
            Err(why) => println!("SKIPPED network namespaces: {why}"),
        });
        there.join().unwrap();
        assert_eq!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), before);
    }
}
