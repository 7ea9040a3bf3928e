//! Freed memory that the allocator keeps. glibc keeps most of it, spread over one arena a thread, so
//! that a stage would begin with what the one before it needed.
#![allow(unsafe_code)]

/// Returns freed memory to the system where the allocator keeps it.
pub fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes no pointer and may be called by any thread at any time (MT-Safe,
    // malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}
