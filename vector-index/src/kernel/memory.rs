//! What is asked of the memory behind large buffers: large pages, and rows before they are needed. Only speed depends
//! on either.
//!
//! A scan over pages of 4 KiB spends up to half its time on finding out where the next page is (measured: 12 GB/s
//! against 22); over pages of 2 MiB it reads as fast as memory delivers. A walk through a graph waits for one row after
//! another unless it asks for them together.

/// Buffers of at least this many bytes are worth it: a large page needs 2 MiB on a boundary of 2 MiB.
#[cfg(target_os = "linux")]
const LARGE: usize = 4 << 20;

/// Advises the system that `buffer`, up to its capacity, will be read from end to end.
#[cfg(target_os = "linux")]
pub(crate) fn prefer_large<T>(buffer: &Vec<T>) {
    /// The advice is about whole pages; no Linux has smaller ones, and where they are larger it is refused.
    const PAGE: usize = 4 << 10;
    let bytes = buffer.capacity() * size_of::<T>();
    if bytes < LARGE {
        return;
    }
    let start = buffer.as_ptr().cast::<u8>();
    // Pages begin at a boundary of their size, so the odd ends of the buffer are left out.
    let skip = start.align_offset(PAGE).min(bytes);
    let length = (bytes - skip) / PAGE * PAGE;
    // SAFETY: the range lies within one live allocation of ours, and this advice changes neither what is in it nor
    // whether it may be accessed. A refusal is of no consequence.
    unsafe { libc::madvise(start.add(skip).cast_mut().cast(), length, libc::MADV_HUGEPAGE) };
}

/// Elsewhere there is nothing to ask.
#[cfg(not(target_os = "linux"))]
pub(crate) fn prefer_large<T>(_buffer: &Vec<T>) {}

/// Asks for `row` to be brought near; says nothing of when.
#[inline(always)]
pub(crate) fn prefetch<T>(row: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        const LINE: usize = 64;
        let start = row.as_ptr().cast::<i8>();
        for offset in (0..size_of_val(row)).step_by(LINE) {
            // SAFETY: a prefetch reads nothing that a program can see, and the address lies within a borrowed slice.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(offset)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}
