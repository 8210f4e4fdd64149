#include "tflite_kernels/adapters/thread_pool.h"

#include <sched.h>
#include <time.h>

namespace edgeax {
namespace {

// Of a caller: about a tenth of a millisecond.
constexpr int32_t kSpins = 4000;

// Of a worker, in time, since a pause takes 140 cycles on some processors and one on others. An
// operator that is not split, or another library's, may take a millisecond or two, and waking a
// thread costs more than many an operator. For the first part of that time it keeps its processor,
// as operators mostly follow at once.
constexpr int64_t kWaitNanoseconds = 2 * 1000 * 1000, kKeepNanoseconds = 500 * 1000;
// A processor that was away for so long has other work.
constexpr int64_t kAwayNanoseconds = 50 * 1000;
// Between two looks at the clock: microseconds at most.
constexpr int32_t kPausesAtOnce = 256;

constexpr uint64_t kPartsMask = 255;

static_assert(ThreadPool::kMostParts <= static_cast<int32_t>(kPartsMask), "parts fit the byte");

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

int64_t NowNanoseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

}  // namespace

ThreadPool::~ThreadPool() {
  if (started_ == 0) return;
  Announce(0);
  for (int32_t i = 0; i < started_; ++i) pthread_join(workers_[i].thread, nullptr);
}

void ThreadPool::Run(int32_t parts, Task task, void* context) {
  if (parts <= 1 || is_taken_.test_and_set(std::memory_order_acquire)) {
    for (int32_t part = 0; part < parts; ++part) task(context, part);
    return;
  }
  const int32_t shared = parts < kMostParts ? parts : kMostParts;
  StartWorkers(shared - 1);
  task_ = task;
  context_ = context;
  unfinished_.store(shared - 1, std::memory_order_relaxed);
  const uint64_t number = Announce(shared);
  task(context, 0);
  for (int32_t part = shared; part < parts; ++part) task(context, part);
  // What no worker has begun yet is done here: one that comes late holds nobody up.
  for (int32_t part = 1; part < shared; ++part) {
    if (Claim(part, number)) RunPart(part);
  }
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

// A task ends when each of its parts was claimed and has run, so a thread that hears of it only
// then gets none.
bool ThreadPool::Claim(int32_t part, uint64_t number) {
  uint64_t last = claimed_[part].load(std::memory_order_relaxed);
  return last < number && claimed_[part].compare_exchange_strong(
                              last, number, std::memory_order_acquire, std::memory_order_relaxed);
}

void ThreadPool::RunPart(int32_t part) {
  task_(context_, part);
  unfinished_.fetch_sub(1, std::memory_order_release);
}

uint64_t ThreadPool::Announce(int32_t parts) {
  const uint64_t number = news_.load(std::memory_order_relaxed) / (kPartsMask + 1) + 1;
  news_.store(number * (kPartsMask + 1) + static_cast<uint64_t>(parts));
  // A thread counts as asleep before it looks for news a last time: it is seen here, or sees them.
  if (asleep_.load() == 0) return number;
  pthread_mutex_lock(&mutex_);
  pthread_cond_broadcast(&wake_);
  pthread_mutex_unlock(&mutex_);
  return number;
}

uint64_t ThreadPool::SpinForNews(uint64_t known) const {
  const int64_t start = NowNanoseconds();
  for (int64_t now = start; now - start < kWaitNanoseconds;) {
    for (int32_t i = 0; i < kPausesAtOnce; ++i) {
      const uint64_t news = news_.load(std::memory_order_acquire);
      if (news != known) return news;
      Pause();
    }
    now = NowNanoseconds();
    if (now - start < kKeepNanoseconds) continue;
    sched_yield();
    const int64_t before = now;
    now = NowNanoseconds();
    if (now - before > kAwayNanoseconds) break;
  }
  return known;
}

uint64_t ThreadPool::WaitForNews(uint64_t known) {
  const uint64_t seen = SpinForNews(known);
  if (seen != known) return seen;
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
    if (pool.Claim(self.part, news / (kPartsMask + 1))) pool.RunPart(self.part);
  }
}

}  // namespace edgeax
