//! Reading and writing that no signal ends early, and no setting of whoever shares the file.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Whether both lead to one and the same file.
pub(crate) fn are_one_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    let [one, other] = [one, other].map(|file| -> io::Result<_> {
        let metadata = File::from(file.try_clone_to_owned()?).metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    });
    Ok(one? == other?)
}

/// Waits until something can be read from a pipe, or its last writer is gone.
pub(super) fn wait_for_bytes(source: &OwnedFd) {
    // Where this fails, the read that follows waits, or tells why it cannot.
    let _ = poll_whole(source, PollFlags::POLLIN, PollTimeout::NONE);
}

/// Whether nothing is to be read from a pipe just now.
pub(super) fn is_empty(source: &OwnedFd) -> bool {
    matches!(
        poll_whole(source, PollFlags::POLLIN, PollTimeout::ZERO),
        Ok(0)
    )
}

/// A signal ends no poll early.
fn poll_whole(file: &impl AsFd, flags: PollFlags, limit: PollTimeout) -> nix::Result<i32> {
    loop {
        let mut pipe = [PollFd::new(file.as_fd(), flags)];
        match poll(&mut pipe, limit) {
            Err(Errno::EINTR) => {}
            answer => return answer,
        }
    }
}

/// Writes all of `bytes`, also where whoever shares our output has made it non-blocking.
pub(super) fn write_whole(target: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match target.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_whole(target, PollFlags::POLLOUT, PollTimeout::NONE)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
