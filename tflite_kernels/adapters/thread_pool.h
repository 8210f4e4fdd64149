#pragma once  // adapters/thread_pool.h: the threads that share one operator's work.

#include <pthread.h>
#include <stdint.h>

#include <atomic>

namespace edgeax {

// Threads are started when they are first needed, and wait for work: awake for two milliseconds,
// since operators follow each other closely, then asleep. After half a millisecond they give way to
// every other thread that wants their processor, and fall asleep at once when one does. The caller
// does the work of those that do not come, so that on a busy machine a task takes about as long as
// on one thread.
class ThreadPool {
 public:
  // More parts than that are never computed at once.
  static constexpr int32_t kMostParts = 64;

  using Task = void (*)(void* context, int32_t part);

  constexpr ThreadPool() = default;
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Calls task(context, i) once for each i of [0, parts), on this thread and others, and returns
  // when all have returned. What no thread can be had for, or another caller has them, is done on
  // this thread.
  void Run(int32_t parts, Task task, void* context);

 private:
  struct Worker {
    ThreadPool* pool;
    int32_t part;  // of every task that has so many, unless the caller was faster
    pthread_t thread;
  };

  static void* Loop(void* worker);
  void StartWorkers(int32_t count);
  uint64_t Announce(int32_t parts);  // returns the number of the task
  bool Claim(int32_t part, uint64_t number);
  void RunPart(int32_t part);
  // Returns what `news_` holds now, or `known` when nothing came while it was worth staying awake.
  uint64_t SpinForNews(uint64_t known) const;
  uint64_t WaitForNews(uint64_t known);

  // The number of the task, and its parts in the lowest byte: read at once, so that a thread never
  // takes the parts of one task for those of another. No parts: threads end.
  std::atomic<uint64_t> news_{0};
  std::atomic<uint64_t> claimed_[kMostParts] = {};  // the task in which each part was run last
  std::atomic<int32_t> unfinished_{0};
  std::atomic<int32_t> asleep_{0};
  std::atomic_flag is_taken_ = ATOMIC_FLAG_INIT;
  Task task_ = nullptr;
  void* context_ = nullptr;
  Worker workers_[kMostParts - 1] = {};
  int32_t started_ = 0;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake_ = PTHREAD_COND_INITIALIZER;
};

}  // namespace edgeax
