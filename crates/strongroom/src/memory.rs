//! The allocator. The C library's gives replies and segments back to the kernel, only to ask for them again: a
//! tenth of a backup's CPU seconds went there.
//!
//! It asks for no huge pages (the feature `no_thp`): with them a backup needs 40 MiB more, and no less CPU.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
