//! Pieces of a body, made on several threads and written in order.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope, scope};

/// How many pieces a thread may be ahead of the writer: what bounds the memory.
const PIECES_AHEAD: usize = 2;

/// Makes pieces `0..count` with `make`, on `threads` threads, and writes them in order.
///
/// `begin` gives a thread its workplace; `make` appends a piece to an empty buffer.
///
/// # Errors
/// Those of `to`.
pub(super) fn write_in_order<W>(
    count: usize,
    threads: usize,
    begin: impl Fn() -> W + Sync,
    make: impl Fn(&mut W, usize, &mut Vec<u8>) + Sync,
    to: &mut dyn Write,
) -> io::Result<()> {
    scope(|scope| {
        let threads = if threads < 2 { 0 } else { threads.min(count) };
        // A thread that cannot be had is done without.
        let workers: Vec<_> =
            (0..threads).map_while(|_| Worker::start(scope, &begin, &make).ok()).collect();
        if workers.is_empty() {
            return write_alone(count, &begin, &make, to);
        }
        for piece in 0..count.min(workers.len() * PIECES_AHEAD) {
            workers[piece % workers.len()].order(piece, Vec::new());
        }
        for piece in 0..count {
            let worker = &workers[piece % workers.len()];
            let mut buffer = worker.finished.recv().map_err(io::Error::other)?;
            to.write_all(&buffer)?;
            let later = piece + workers.len() * PIECES_AHEAD;
            if later < count {
                buffer.clear();
                worker.order(later, buffer);
            }
        }
        Ok(())
    })
}

fn write_alone<W>(
    count: usize,
    begin: &impl Fn() -> W,
    make: &impl Fn(&mut W, usize, &mut Vec<u8>),
    to: &mut dyn Write,
) -> io::Result<()> {
    let mut place = begin();
    let mut buffer = Vec::new();
    for piece in 0..count {
        buffer.clear();
        make(&mut place, piece, &mut buffer);
        to.write_all(&buffer)?;
    }
    Ok(())
}

/// A thread; it ends when this is dropped.
struct Worker {
    orders: Sender<(usize, Vec<u8>)>,
    finished: Receiver<Vec<u8>>,
}

impl Worker {
    fn start<'scope, W>(
        scope: &'scope Scope<'scope, '_>,
        begin: &'scope (impl Fn() -> W + Sync),
        make: &'scope (impl Fn(&mut W, usize, &mut Vec<u8>) + Sync),
    ) -> io::Result<Self> {
        let (orders, ordered) = channel::<(usize, Vec<u8>)>();
        let (finish, finished) = channel();
        Builder::new().name("encode".into()).spawn_scoped(scope, move || {
            let mut place = begin();
            while let Ok((piece, mut buffer)) = ordered.recv() {
                make(&mut place, piece, &mut buffer);
                if finish.send(buffer).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { orders, finished })
    }

    /// Whether the thread lives shows when its piece is taken.
    fn order(&self, piece: usize, buffer: Vec<u8>) {
        self.orders.send((piece, buffer)).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(count: usize, threads: usize) -> String {
        let mut out = Vec::new();
        let make = |_: &mut (), piece: usize, out: &mut Vec<u8>| {
            out.extend_from_slice(format!("{piece},").as_bytes());
        };
        write_in_order(count, threads, || (), make, &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("digits")
    }

    #[test]
    fn pieces_come_in_order_from_any_number_of_threads() {
        for count in [0, 1, 5, 100] {
            let expected: String = (0..count).map(|piece| format!("{piece},")).collect();
            for threads in [0, 1, 2, 3, 16] {
                assert_eq!(written(count, threads), expected);
            }
        }
    }

    #[test]
    fn a_writer_that_fails_ends_the_threads() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let make = |_: &mut (), _, out: &mut Vec<u8>| out.push(b'x');
        let error = write_in_order(100, 3, || (), make, &mut Full(7)).expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
