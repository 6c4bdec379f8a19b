// How the program allocates: by jemalloc, which costs a call less than the C library's allocator
// does and gives back what many clients needed for a moment.
//
// For programs alone: the address and thread sanitizers bring an allocator of their own.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#error "the sanitizers bring an allocator of their own"
#endif

// Read by jemalloc before main(). Its thread returns unused pages within ten seconds, also when
// nobody allocates any more.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true";
}
