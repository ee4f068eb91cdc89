// Queues as a hostile driver would build them. The device's side is driven directly, without a transport.
#include "devices/virtio/queue.hpp"

#include "fake_driver.hpp"

#include <doctest/doctest.h>

namespace pyro::devices::virtio {

namespace {

using test::Piece;

constexpr std::uint16_t kSize = 8;
constexpr std::uint64_t kAll = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;

class NoDevice final : public MmioDevice {
 public:
  void read(std::uint64_t, std::span<std::byte>) noexcept override {}
  void write(std::uint64_t, base::ByteView) noexcept override {}
};

struct QueueFixture {
  explicit QueueFixture(std::uint64_t features = kAll) : queue(make(features)) {}

  Queue make(std::uint64_t features) {
    driver.rings.push_back(driver.make_ring(kSize));
    auto made = Queue::create(memory, layout(), features);
    REQUIRE(made.ok());
    return std::move(*made);
  }
  QueueLayout layout() { return {kSize, ring().desc, ring().avail, ring().used}; }
  test::FakeDriver::Ring& ring() { return driver.rings[0]; }
  // The next chain is refused, for a reason that has `words` in it, and so is everything after it.
  void check_broken(std::string_view words) {
    CHECK_FALSE(queue.pop(chain));
    REQUIRE(queue.broken() != nullptr);
    CHECK(std::string_view(queue.broken()).find(words) != std::string_view::npos);
    CHECK_FALSE(queue.pop(chain));
    CHECK_FALSE(queue.enable_notifications());
  }

  memory::GuestMemory memory = test::make_memory();
  NoDevice device;
  test::FakeDriver driver{memory, device};
  Queue queue;
  Chain chain;
};

}  // namespace

TEST_SUITE("devices") {
  TEST_CASE("queue: a chain → readable buffers, then writable ones, and it comes back as used") {
    QueueFixture f;
    CHECK_FALSE(f.queue.pop(f.chain));
    CHECK(f.queue.broken() == nullptr);
    f.driver.poke_text(0x200000, "hello ");
    f.driver.poke_text(0x201000, "world");
    const auto head = f.driver.add(0, {{0x200000, 6}, {0x201000, 5}, {0x202000, 3, true}, {0x203000, 100, true}});
    REQUIRE(f.queue.pop(f.chain));
    CHECK(f.chain.head() == head);
    CHECK(f.chain.readable().size() == 2);
    CHECK(f.chain.readable_bytes() == 11);
    CHECK(f.chain.writable_bytes() == 103);
    std::string text(16, '?');
    CHECK(f.chain.copy_out(0, std::as_writable_bytes(std::span(text))) == 11);
    CHECK(text == "hello world?????");
    CHECK(f.chain.copy_out(4, std::as_writable_bytes(std::span(text).first(4))) == 4);
    CHECK(text.substr(0, 4) == "o wo");
    CHECK(f.chain.copy_out(11, std::as_writable_bytes(std::span(text))) == 0);
    CHECK(f.chain.copy_in(0, base::as_bytes("abcdef")) == 6);
    CHECK(f.driver.peek_text(0x202000, 3) == "abc");
    CHECK(f.driver.peek_text(0x203000, 3) == "def");
    CHECK(f.chain.copy_in(102, base::as_bytes("xy")) == 1);
    f.queue.push(f.chain, 6);
    const auto used = f.driver.take(0);
    REQUIRE(used);
    CHECK(used->id == head);
    CHECK(used->written == 6);
    CHECK_FALSE(f.queue.pop(f.chain));
  }

  TEST_CASE("queue: more chains than 65536 → indices wrap and every chain arrives once") {
    QueueFixture f;
    for (int i = 0; i < 70000; ++i) {
      const auto head = f.driver.add(0, {{0x200000, 6}});
      REQUIRE(f.queue.pop(f.chain));
      REQUIRE_FALSE(f.queue.enable_notifications());
      f.queue.push(f.chain, static_cast<std::uint32_t>(i));
      const auto used = f.driver.take(0);
      REQUIRE(used);
      REQUIRE(used->id == head);
      REQUIRE(used->written == static_cast<std::uint32_t>(i));
    }
  }

  TEST_CASE("queue: a pop taken back → the same chain again") {
    QueueFixture f;
    const auto head = f.driver.add(0, {{0x200000, 6}});
    REQUIRE(f.queue.pop(f.chain));
    f.queue.undo_pop();
    REQUIRE(f.queue.pop(f.chain));
    CHECK(f.chain.head() == head);
  }

  TEST_CASE("queue: an indirect table → its buffers, behind the direct ones") {
    QueueFixture f;
    f.driver.poke(0x300000, Descriptor{0x200000, 4, VIRTQ_DESC_F_NEXT, 2});
    f.driver.poke(0x300010, Descriptor{0x202000, 8, VIRTQ_DESC_F_WRITE, 0});
    f.driver.poke(0x300020, Descriptor{0x201000, 4, VIRTQ_DESC_F_NEXT, 1});
    f.driver.describe(f.ring(), 3, {0x203000, 1, VIRTQ_DESC_F_NEXT, 5});
    f.driver.describe(f.ring(), 5, {0x300000, 48, VIRTQ_DESC_F_INDIRECT, 0});
    f.driver.offer(f.ring(), 3);
    REQUIRE(f.queue.pop(f.chain));
    CHECK(f.chain.readable().size() == 3);
    CHECK(f.chain.readable_bytes() == 9);
    CHECK(f.chain.writable_bytes() == 8);
  }

  TEST_CASE("queue: a chain as long as its queue → fine; an indirect one longer than that, too") {
    QueueFixture f;
    f.driver.add(0, std::vector<Piece>(kSize, {0x200000, 1}));
    REQUIRE(f.queue.pop(f.chain));
    CHECK(f.chain.readable().size() == kSize);
    for (std::uint16_t i = 0; i < 200; ++i) {
      const std::uint16_t flags = i < 199 ? VIRTQ_DESC_F_NEXT : 0;
      f.driver.poke(0x300000 + i * 16U, Descriptor{0x200000, 1, flags, static_cast<std::uint16_t>(i + 1)});
    }
    f.driver.describe(f.ring(), 0, {0x300000, 200 * 16, VIRTQ_DESC_F_INDIRECT, 0});
    f.driver.offer(f.ring(), 0);
    REQUIRE(f.queue.pop(f.chain));
    CHECK(f.chain.readable().size() == 200);
  }

  TEST_CASE("queue: a loop of descriptors → broken") {
    QueueFixture f;
    f.driver.describe(f.ring(), 0, {0x200000, 1, VIRTQ_DESC_F_NEXT, 1});
    f.driver.describe(f.ring(), 1, {0x200000, 1, VIRTQ_DESC_F_NEXT, 0});
    f.driver.offer(f.ring(), 0);
    f.check_broken("loop");
  }

  TEST_CASE("queue: a loop inside an indirect table → broken") {
    QueueFixture f;
    f.driver.poke(0x300000, Descriptor{0x200000, 1, VIRTQ_DESC_F_NEXT, 0});
    f.driver.describe(f.ring(), 0, {0x300000, 16, VIRTQ_DESC_F_INDIRECT, 0});
    f.driver.offer(f.ring(), 0);
    f.check_broken("loop");
  }

  TEST_CASE("queue: an indirect table in an indirect table, be it the queue's own → broken") {
    for (const bool own : {false, true}) {
      QueueFixture f;
      const std::uint64_t table = own ? f.ring().desc : 0x300000;
      f.driver.poke(0x300000, Descriptor{0x300000, 16, VIRTQ_DESC_F_INDIRECT, 0});
      f.driver.describe(f.ring(), 0, {table, 16, VIRTQ_DESC_F_INDIRECT, 0});
      f.driver.offer(f.ring(), 0);
      f.check_broken("indirect");
    }
  }

  TEST_CASE("queue: an indirect table that is not one → broken") {
    const Descriptor wrong[] = {
        {0x300000, 0, VIRTQ_DESC_F_INDIRECT, 0},
        {0x300000, 17, VIRTQ_DESC_F_INDIRECT, 0},
        {0x300000, 0xfffffff0, VIRTQ_DESC_F_INDIRECT, 0},
        {test::kMemoryBytes - 8, 16, VIRTQ_DESC_F_INDIRECT, 0},
        {~std::uint64_t{15}, 32, VIRTQ_DESC_F_INDIRECT, 0},
        {0x300000, 16, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT, 1},
    };
    for (const Descriptor& descriptor : wrong) {
      QueueFixture f;
      f.driver.describe(f.ring(), 0, descriptor);
      f.driver.offer(f.ring(), 0);
      f.check_broken("indirect");
    }
  }

  TEST_CASE("queue: an indirect descriptor that was not negotiated → broken") {
    QueueFixture f(VIRTIO_F_VERSION_1);
    f.driver.poke(0x300000, Descriptor{0x200000, 1, 0, 0});
    f.driver.describe(f.ring(), 0, {0x300000, 16, VIRTQ_DESC_F_INDIRECT, 0});
    f.driver.offer(f.ring(), 0);
    f.check_broken("indirect");
  }

  TEST_CASE("queue: buffers outside of memory, of 4 GiB, of nothing or wrapping → broken") {
    const Piece wrong[] = {
        {test::kMemoryBytes, 1},
        {test::kMemoryBytes - 1, 2, true},
        {0, 0xffffffff},
        {0, 0xffffffff, true},
        {~std::uint64_t{0}, 1},
        {~std::uint64_t{0} - 10, 100, true},
        {0xfffffffffffff000, 0x2000},
        {0x200000, 0},
        {0x200000, 0, true},
    };
    for (const Piece& piece : wrong) {
      QueueFixture f;
      f.driver.add(0, {piece});
      f.check_broken("buffer");
    }
  }

  TEST_CASE("queue: chains that leave their table or mix their order → broken") {
    {
      QueueFixture f;
      f.driver.describe(f.ring(), 0, {0x200000, 1, VIRTQ_DESC_F_NEXT, kSize});
      f.driver.offer(f.ring(), 0);
      f.check_broken("leaves");
    }
    {
      QueueFixture f;
      f.driver.add(0, {{0x200000, 1, true}, {0x201000, 1, false}});
      f.check_broken("behind");
    }
    {
      QueueFixture f;
      f.driver.offer(f.ring(), kSize);
      f.check_broken("does not exist");
    }
    {
      QueueFixture f;
      f.driver.offer(f.ring(), 0xffff);
      f.check_broken("does not exist");
    }
  }

  TEST_CASE("queue: more than 4 GiB or more than the cap of buffers in one chain → broken") {
    QueueFixture f;
    constexpr std::uint16_t kBuffers = 2000;
    for (const std::uint32_t length : {std::uint32_t{test::kMemoryBytes}, std::uint32_t{1}}) {
      QueueFixture g;
      for (std::uint16_t i = 0; i < kBuffers; ++i) {
        g.driver.poke(0x100000 + i * 16U, Descriptor{0, length, VIRTQ_DESC_F_NEXT, static_cast<std::uint16_t>(i + 1)});
      }
      g.driver.describe(g.ring(), 0, {0x100000, kBuffers * 16U, VIRTQ_DESC_F_INDIRECT, 0});
      g.driver.offer(g.ring(), 0);
      g.check_broken(length == 1 ? "too many" : "4 GiB");
    }
  }

  TEST_CASE("queue: an available index that jumps → broken, but a full queue is fine") {
    {
      QueueFixture f;
      f.driver.poke(f.ring().avail + 2, kSize);
      CHECK(f.queue.enable_notifications());
    }
    for (const std::uint16_t index : {std::uint16_t{kSize + 1}, std::uint16_t{0x8000}, std::uint16_t{0xffff}}) {
      QueueFixture f;
      f.driver.poke(f.ring().avail + 2, index);
      f.check_broken("ahead");
    }
  }

  TEST_CASE("queue: a layout that cannot be → refused") {
    QueueFixture f;
    const auto refused = [&f](QueueLayout layout) { return !Queue::create(f.memory, layout, kAll).ok(); };
    const QueueLayout good = f.layout();
    CHECK_FALSE(refused(good));
    CHECK(refused({0, good.desc_gpa, good.avail_gpa, good.used_gpa}));
    CHECK(refused({7, good.desc_gpa, good.avail_gpa, good.used_gpa}));
    CHECK(refused({kSize, good.desc_gpa + 8, good.avail_gpa, good.used_gpa}));
    CHECK(refused({kSize, good.desc_gpa, good.avail_gpa + 1, good.used_gpa}));
    CHECK(refused({kSize, good.desc_gpa, good.avail_gpa, good.used_gpa + 2}));
    CHECK(refused({kSize, test::kMemoryBytes - 16, good.avail_gpa, good.used_gpa}));
    CHECK(refused({kSize, good.desc_gpa, test::kMemoryBytes - 16, good.used_gpa}));
    CHECK(refused({kSize, good.desc_gpa, good.avail_gpa, test::kMemoryBytes - 64}));
    CHECK(refused({kSize, ~std::uint64_t{15}, good.avail_gpa, good.used_gpa}));
    CHECK(refused({32768, test::kMemoryBytes - 16 * 32767, good.avail_gpa, good.used_gpa}));
    CHECK_FALSE(Queue::create(f.memory, good, kAll, {kSize + 1, 0, 0}).ok());
    CHECK(Queue::create(f.memory, good, kAll, {3, 0xfffb, 0}).ok());
  }

  TEST_CASE("queue: with EVENT_IDX → interrupts and doorbells only where the other side asked for them") {
    QueueFixture f;
    const auto serve = [&f](int count) {
      for (int i = 0; i < count; ++i) {
        f.driver.add(0, {{0x200000, 6}});
        REQUIRE(f.queue.pop(f.chain));
        f.queue.push(f.chain, 0);
      }
      return f.queue.take_interrupt();
    };
    CHECK_FALSE(f.queue.take_interrupt());
    f.driver.set_used_event(f.ring(), 0);
    CHECK(serve(1));
    CHECK_FALSE(f.queue.take_interrupt());
    CHECK_FALSE(serve(3));  // the driver has not moved used_event
    f.driver.set_used_event(f.ring(), 5);
    CHECK_FALSE(serve(1));
    CHECK(serve(1));
    f.driver.set_used_event(f.ring(), 7);
    CHECK(serve(5));
    CHECK_FALSE(f.queue.enable_notifications());
    CHECK(f.driver.avail_event(f.ring()) == 11);
    f.queue.disable_notifications();
    f.driver.add(0, {{0x200000, 6}});
    CHECK(f.driver.avail_event(f.ring()) == 11);
    CHECK(f.driver.used_flags(f.ring()) == 0);
    CHECK(f.queue.enable_notifications());
  }

  TEST_CASE("queue: without EVENT_IDX → the flags of both rings do it") {
    QueueFixture f(VIRTIO_F_VERSION_1);
    f.queue.disable_notifications();
    CHECK(f.driver.used_flags(f.ring()) == VIRTQ_USED_F_NO_NOTIFY);
    CHECK_FALSE(f.queue.enable_notifications());
    CHECK(f.driver.used_flags(f.ring()) == 0);
    f.driver.add(0, {{0x200000, 6}});
    REQUIRE(f.queue.pop(f.chain));
    f.queue.push(f.chain, 0);
    CHECK(f.queue.take_interrupt());
    f.driver.poke(f.ring().avail, VIRTQ_AVAIL_F_NO_INTERRUPT);
    f.driver.add(0, {{0x200000, 6}});
    REQUIRE(f.queue.pop(f.chain));
    f.queue.push(f.chain, 0);
    CHECK_FALSE(f.queue.take_interrupt());
  }
}

}  // namespace pyro::devices::virtio
