#include "tflite_kernels/adapters/thread_pool.h"

#include <sched.h>

namespace edgeax {
namespace {

// About a tenth of a millisecond.
constexpr int32_t kSpins = 4000;
constexpr uint64_t kPartsMask = 255;

static_assert(ThreadPool::kMostParts <= static_cast<int32_t>(kPartsMask), "parts fit the byte");

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

}  // namespace

ThreadPool::~ThreadPool() {
  if (started_ == 0) return;
  Announce(0);
  for (int32_t i = 0; i < started_; ++i) pthread_join(workers_[i].thread, nullptr);
}

void ThreadPool::Run(int32_t parts, Task task, void* context) {
  const bool is_alone = parts <= 1 || is_taken_.test_and_set(std::memory_order_acquire);
  int32_t threads = 0;  // beside this one
  if (!is_alone) {
    const int32_t wanted = (parts < kMostParts ? parts : kMostParts) - 1;
    StartWorkers(wanted);
    threads = started_ < wanted ? started_ : wanted;
    task_ = task;
    context_ = context;
    unfinished_.store(threads, std::memory_order_relaxed);
    if (threads > 0) Announce(threads + 1);
  }
  if (parts > 0) task(context, 0);
  for (int32_t part = threads + 1; part < parts; ++part) task(context, part);
  if (is_alone) return;
  for (int32_t spins = 0; unfinished_.load(std::memory_order_acquire) > 0; ++spins) {
    if (spins < kSpins) {
      Pause();
    } else {
      sched_yield();
    }
  }
  is_taken_.clear(std::memory_order_release);
}

void ThreadPool::StartWorkers(int32_t count) {
  for (; started_ < count; ++started_) {
    Worker& worker = workers_[started_];
    worker.pool = this;
    worker.part = started_ + 1;
    if (pthread_create(&worker.thread, nullptr, Loop, &worker) != 0) return;
  }
}

void ThreadPool::Announce(int32_t parts) {
  const uint64_t number = news_.load(std::memory_order_relaxed) / (kPartsMask + 1) + 1;
  news_.store(number * (kPartsMask + 1) + static_cast<uint64_t>(parts));
  // A thread counts as asleep before it looks for news a last time: it is seen here, or sees them.
  if (asleep_.load() == 0) return;
  pthread_mutex_lock(&mutex_);
  pthread_cond_broadcast(&wake_);
  pthread_mutex_unlock(&mutex_);
}

uint64_t ThreadPool::WaitForNews(uint64_t known) {
  for (int32_t spins = 0; spins < kSpins; ++spins) {
    const uint64_t news = news_.load(std::memory_order_acquire);
    if (news != known) return news;
    Pause();
  }
  pthread_mutex_lock(&mutex_);
  asleep_.fetch_add(1);
  uint64_t news = news_.load();
  while (news == known) {
    pthread_cond_wait(&wake_, &mutex_);
    news = news_.load();
  }
  asleep_.fetch_sub(1);
  pthread_mutex_unlock(&mutex_);
  return news;
}

void* ThreadPool::Loop(void* worker) {
  const Worker& self = *static_cast<const Worker*>(worker);
  ThreadPool& pool = *self.pool;
  for (uint64_t news = 0;;) {
    news = pool.WaitForNews(news);
    const int32_t parts = static_cast<int32_t>(news & kPartsMask);
    if (parts == 0) return nullptr;
    if (self.part >= parts) continue;
    pool.task_(pool.context_, self.part);
    pool.unfinished_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace edgeax
