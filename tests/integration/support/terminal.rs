//! A command at a terminal: what it shows there, and what somebody types.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use super::PATIENCE;

/// A process whose input and output are a terminal; killed when this is dropped.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts `command` at a terminal of 100 columns.
    pub fn start(mut command: Command) -> Result<Self> {
        let (mut ours, mut theirs) = (-1, -1);
        let size = libc::winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: openpty writes two descriptors to the pointers it is given and reads one `winsize`; neither a name nor
        // settings are asked for. Each descriptor then has exactly one owner.
        let (ours, theirs) = unsafe {
            let failed = libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null(), &size) != 0;
            ensure!(!failed, "no terminal: {}", std::io::Error::last_os_error());
            (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
        };
        command.env("TERM", "xterm").stdin(Stdio::from(theirs.try_clone()?));
        let child = command.stdout(Stdio::from(theirs.try_clone()?)).stderr(Stdio::from(theirs)).spawn()?;
        // What the command keeps of the terminal would keep it open for the reader, too.
        drop(command);
        let (keyboard, screen) = (File::from(ours), Arc::<Mutex<String>>::default());
        let (mut from, to) = (keyboard.try_clone()?, screen.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end of a terminal is an error on Linux.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                to.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Ok(Self { child, keyboard, screen })
    }

    /// All that was shown so far.
    pub fn screen(&self) -> String {
        self.screen.lock().expect("no reader panics").clone()
    }

    /// Waits until `text` was shown.
    pub async fn shows(&mut self, text: &str) -> Result<()> {
        let start = Instant::now();
        while !self.screen().contains(text) {
            if start.elapsed() > PATIENCE || self.child.try_wait()?.is_some() && !self.screen().contains(text) {
                bail!("`{text}` is not shown, but:\n{}", self.screen());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) -> Result<()> {
        self.presses(&format!("{line}\n"))
    }

    /// Presses keys.
    pub fn presses(&mut self, keys: &str) -> Result<()> {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// Waits for the end; its exit code.
    pub async fn ends(&mut self) -> Result<Option<i32>> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            ensure!(start.elapsed() < 2 * PATIENCE, "it does not end:\n{}", self.screen());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
