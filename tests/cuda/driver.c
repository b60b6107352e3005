/* A driver that is as broken as the test wants it: its version from DRIVER_VERSION (11040 is CUDA 11.4), and what cuInit
 * answers from DRIVER_INIT, a CUresult. Without a GPU, it shows what the CUDA runtime makes of such a driver. */
#include <stdlib.h>
#include <string.h>

static int from_environment(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

int cuInit(unsigned flags) {
    (void)flags;
    return from_environment("DRIVER_INIT", 0);
}

int cuDriverGetVersion(int *version) {
    *version = from_environment("DRIVER_VERSION", 13000);
    return 0;
}

static int refuse(void) {
    return 999;
}

int cuGetProcAddress_v2(const char *symbol, void **function, int version, unsigned long flags, void *status) {
    (void)version;
    (void)flags;
    *function = !strcmp(symbol, "cuInit")               ? (void *)cuInit
              : !strcmp(symbol, "cuDriverGetVersion")   ? (void *)cuDriverGetVersion
              : !strcmp(symbol, "cuGetProcAddress")     ? (void *)cuGetProcAddress_v2
                                                        : (void *)refuse;
    if (status)
        *(int *)status = 0;
    return 0;
}

int cuGetProcAddress(const char *symbol, void **function, int version, unsigned long flags) {
    return cuGetProcAddress_v2(symbol, function, version, flags, 0);
}
