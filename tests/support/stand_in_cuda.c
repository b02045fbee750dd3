/* Stands for libcuda where there is no GPU: one device, whose memory is POSIX shared memory, and whose handles are the
 * names of that. Just what sharing memory between processes needs, and as strict as the driver where tests rely on it. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, INVALID_CONTEXT = 201, ROOM = 1024 };

typedef struct { char reserved[64]; } Handle;

static struct { char name[64]; char *base; size_t size; int opened; int own; } allocations[ROOM];
static int depth, serial;

static int find(uint64_t address) {
  for (int i = 0; i < ROOM; i++)
    if (allocations[i].base && address >= (uint64_t)allocations[i].base &&
        address < (uint64_t)allocations[i].base + allocations[i].size)
      return i;
  return -1;
}

static int inside(uint64_t address, size_t size) {
  int i = find(address);
  return depth > 0 && i >= 0 && address + size <= (uint64_t)allocations[i].base + allocations[i].size;
}

static int map(const char *name, int fd, size_t size, int own, uint64_t *address) {
  char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (base == MAP_FAILED) return OUT_OF_MEMORY;
  for (int i = 0; i < ROOM; i++)
    if (!allocations[i].base) {
      snprintf(allocations[i].name, sizeof allocations[i].name, "%s", name);
      allocations[i].base = base, allocations[i].size = size, allocations[i].own = own, allocations[i].opened = 1;
      *address = (uint64_t)base;
      return OK;
    }
  munmap(base, size);
  return OUT_OF_MEMORY;
}

int cuInit(unsigned flags) { return flags; }
int cuDevicePrimaryCtxRetain(void **context, int device) {
  *context = allocations;
  return device == 0 ? OK : INVALID_DEVICE;
}
int cuCtxPushCurrent_v2(void *context) { return context == allocations ? (depth++, OK) : INVALID_CONTEXT; }
int cuCtxPopCurrent_v2(void **context) { return *context = allocations, depth-- > 0 ? OK : INVALID_CONTEXT; }
int cuCtxSynchronize(void) { return depth > 0 ? OK : INVALID_CONTEXT; }
int cuStreamCreate(void **stream, unsigned flags) { return *stream = (void *)1, (void)flags, OK; }
int cuStreamSynchronize(void *stream) { return (void)stream, OK; }

int cuGetErrorName(int status, const char **name) {
  return *name = status == INVALID_VALUE ? "CUDA_ERROR_INVALID_VALUE" : "CUDA_ERROR_UNKNOWN", OK;
}

int cuMemAlloc_v2(uint64_t *address, size_t size) {
  char name[64];
  snprintf(name, sizeof name, "/pyserve-device-%d-%d", getpid(), serial++);
  int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0 || ftruncate(fd, size)) return OUT_OF_MEMORY;
  return map(name, fd, size, 1, address);
}

int cuMemFree_v2(uint64_t address) {
  int i = find(address);
  if (i < 0 || !allocations[i].own) return INVALID_VALUE;
  shm_unlink(allocations[i].name);
  munmap(allocations[i].base, allocations[i].size);
  allocations[i].base = NULL;
  return OK;
}

int cuMemHostAlloc(void **address, size_t size, unsigned flags) {
  return *address = malloc(size), (void)flags, *address && depth > 0 ? OK : OUT_OF_MEMORY;
}

int cuIpcGetMemHandle(Handle *handle, uint64_t address) {
  int i = find(address);
  if (i < 0) return INVALID_VALUE;
  memset(handle, 0, sizeof *handle);
  memcpy(handle->reserved, allocations[i].name, sizeof allocations[i].name);
  return OK;
}

int cuIpcOpenMemHandle_v2(uint64_t *address, Handle handle, unsigned flags) {
  struct stat facts;
  if (depth <= 0 || flags != 1 || strncmp(handle.reserved, "/pyserve-device-", 16) || handle.reserved[63])
    return INVALID_VALUE;
  for (int i = 0; i < ROOM; i++)
    if (allocations[i].base && !strcmp(allocations[i].name, handle.reserved)) {
      allocations[i].opened++;
      return *address = (uint64_t)allocations[i].base, OK;
    }
  int fd = shm_open(handle.reserved, O_RDWR, 0);
  if (fd < 0 || fstat(fd, &facts)) return INVALID_VALUE;
  return map(handle.reserved, fd, facts.st_size, 0, address);
}

int cuIpcCloseMemHandle(uint64_t address) {
  int i = find(address);
  if (i < 0 || allocations[i].own) return INVALID_VALUE;
  if (--allocations[i].opened == 0) {
    munmap(allocations[i].base, allocations[i].size);
    allocations[i].base = NULL;
  }
  return OK;
}

int cuMemGetAddressRange_v2(uint64_t *base, size_t *size, uint64_t address) {
  int i = find(address);
  if (i < 0) return INVALID_VALUE;
  return *base = (uint64_t)allocations[i].base, *size = allocations[i].size, OK;
}

int cuMemcpyDtoH_v2(void *host, uint64_t address, size_t size) {
  return inside(address, size) ? (memcpy(host, (void *)address, size), OK) : INVALID_VALUE;
}

int cuMemcpyHtoD_v2(uint64_t address, const void *host, size_t size) {
  return inside(address, size) ? (memcpy((void *)address, host, size), OK) : INVALID_VALUE;
}
