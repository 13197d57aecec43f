// The functions of the native executor without the executor: for tests of building and loading.
#ifndef VERSION
#define VERSION 1
#endif
#ifndef PROCESSOR
#define PROCESSOR 0
#endif
#define SHOWN extern "C" __attribute__((visibility("default")))

SHOWN int ancestral_abi() { return VERSION; }
SHOWN int ancestral_processor() { return PROCESSOR; }
SHOWN void ancestral_run(const int* program, int* call) { *call += *program; }
SHOWN double ancestral_multiply_add_gflops(double seconds, int bfloat16) {
    return (bfloat16 ? 2000 : 1000) * seconds;
}
