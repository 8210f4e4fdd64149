/* A plugin of QEMU that counts, exactly, the instructions a program runs between the marks of
 * markers.h. For one core and one thread: the counter is not atomic.
 *
 * Debian ships no header for plugins; the declarations below are the part used here of version 1 of
 * the interface, as QEMU 7.2 exports it. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { NO_REGISTERS = 0, INLINE_ADD = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                           void (*)(qemu_plugin_id_t, struct qemu_plugin_tb*));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn*);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn*);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn*, void (*)(unsigned int, void*),
                                            int, void*);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn*, int, void*, uint64_t);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void*), void*);

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = 1;

enum { REGIONS = 8, FIRST_MARK = 112, NO_MARK = -1 };
static uint64_t executed; /* instructions so far, marks not counted */
static struct {
  bool is_open;
  uint64_t start, visits, instructions;
} regions[REGIONS];
static char output_path[4096];

/* Number of the hint that an instruction is, or NO_MARK. */
static int mark_of(const struct qemu_plugin_insn* instruction) {
  const size_t size = qemu_plugin_insn_size(instruction);
  const uint8_t* byte = qemu_plugin_insn_data(instruction);
  int hint = NO_MARK;
  if (size == 4) {
    uint32_t word = byte[0] | byte[1] << 8 | byte[2] << 16 | (uint32_t)byte[3] << 24;
    if ((word & 0xfffff01fu) == 0xd503201fu) hint = word >> 5 & 127;  /* A64 */
    if ((word & 0xff00ffffu) == 0x8000f3afu) hint = word >> 16 & 255; /* T32, halfwords swapped */
  }
  if (size == 7 && memcmp(byte, "\x0f\x1f\x80", 3) == 0 && memcmp(byte + 4, "edg", 3) == 0) {
    hint = byte[3]; /* x86-64 */
  }
  return hint >= FIRST_MARK && hint < FIRST_MARK + 2 * REGIONS ? hint : NO_MARK;
}

static void on_mark(unsigned int cpu, void* data) {
  (void)cpu;
  int number = (int)(intptr_t)data - FIRST_MARK;
  int region = number % REGIONS;
  if (number < REGIONS) {
    regions[region].is_open = true;
    regions[region].start = executed;
  } else if (regions[region].is_open) {
    regions[region].is_open = false;
    regions[region].visits += 1;
    regions[region].instructions += executed - regions[region].start;
  }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  (void)id;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
    struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
    int mark = mark_of(instruction);
    if (mark == NO_MARK) {
      qemu_plugin_register_vcpu_insn_exec_inline(instruction, INLINE_ADD, &executed, 1);
    } else {
      qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_mark, NO_REGISTERS,
                                             (void*)(intptr_t)mark);
    }
  }
}

static void write_counts(qemu_plugin_id_t id, void* data) {
  (void)id, (void)data;
  FILE* file = fopen(output_path, "w");
  if (file == NULL) return;
  for (int i = 0; i < REGIONS; ++i) {
    if (regions[i].visits == 0) continue;
    fprintf(file, "%d %" PRIu64 " %" PRIu64 "\n", i, regions[i].visits, regions[i].instructions);
  }
  fclose(file);
}

/* Takes one argument: out=FILE. Each line of it will hold a region, how often it was left, and how
 * many instructions it ran in all. */
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int count, char** words) {
  (void)info;
  if (count != 1 || strncmp(words[0], "out=", 4) != 0 ||
      strlen(words[0] + 4) >= sizeof output_path) {
    fprintf(stderr, "regioncount: must get out=FILE and nothing else.\n");
    return 1;
  }
  strcpy(output_path, words[0] + 4);
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, write_counts, NULL);
  return 0;
}
