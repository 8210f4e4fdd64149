// Tasks of all sizes on one pool, from two threads: every part runs once, and before Run returns.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tflite_kernels/adapters/thread_pool.h"

namespace {

using edgeax::ThreadPool;

struct Work {
  int32_t calls[2 * ThreadPool::kMostParts];
};

struct Caller {
  ThreadPool* pool;
  int32_t tasks;
  uint32_t seed;
  bool is_right;
};

void Count(void* context, int32_t part) { ++static_cast<Work*>(context)->calls[part]; }

bool RunOne(ThreadPool* pool, int32_t parts) {
  Work work = {};
  pool->Run(parts, Count, &work);
  for (int32_t i = 0; i < 2 * ThreadPool::kMostParts; ++i) {
    if (work.calls[i] == (i < parts ? 1 : 0)) continue;
    printf("threads: part %d of %d ran %d times\n", i, parts, work.calls[i]);
    return false;
  }
  return true;
}

void* Call(void* argument) {
  Caller& caller = *static_cast<Caller*>(argument);
  for (int32_t i = 0; i < caller.tasks && caller.is_right; ++i) {
    caller.seed = caller.seed * 1664525u + 1013904223u;
    // A few threads most of the time, rarely more parts than there can be threads.
    const uint32_t most = caller.seed % 64 == 0 ? 2 * ThreadPool::kMostParts : 5;
    caller.is_right = RunOne(caller.pool, static_cast<int32_t>((caller.seed >> 16) % (most + 1)));
  }
  return nullptr;
}

}  // namespace

// threads_main TASKS
int main(int count, char** words) {
  if (count != 2) return 2;
  const int32_t tasks = atoi(words[1]);
  for (int32_t pools = 0; pools < 3; ++pools) {
    ThreadPool pool;
    Caller callers[2] = {{&pool, tasks, 1, true}, {&pool, tasks, 2, true}};
    pthread_t other;
    if (pthread_create(&other, nullptr, Call, &callers[1]) != 0) return 3;
    Call(&callers[0]);
    pthread_join(other, nullptr);
    if (!callers[0].is_right || !callers[1].is_right) return 1;
  }
  printf("threads: %d tasks\n", tasks);
  return 0;
}
