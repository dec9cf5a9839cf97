//! The allocator. The C library's gives replies and segments back to the kernel, only to ask for them again: a
//! tenth of a backup's CPU seconds went there.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
