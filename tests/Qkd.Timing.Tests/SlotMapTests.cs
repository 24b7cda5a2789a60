using CsCheck;
using Shouldly;

namespace Qkd.Timing.Tests;

/// <summary>The map of clicks by slot.</summary>
public sealed class SlotMapTests
{
    /// <summary>Vectors at any place, and the slots after the last whole vector.</summary>
    [Fact]
    public void The_next_click_is_the_one_that_a_plain_look_finds() =>
        Gen.Select(Gen.Int[1, 200], Gen.Int[0, 199].HashSet[0, 30]).Sample((count, clicks) =>
        {
            var slots = clicks.Where(click => click < count).Order().ToArray();
            var map = new SlotMap();
            map.Begin(1_000_000, count);
            map.Mark(slots, [.. slots.Select(slot => (byte)(1 << (slot % 5)))], 1_000_000).ShouldBe(0);
            for (var from = 0; from <= count; from++)
            {
                map.Next(from).ShouldBe(slots.FirstOrDefault(slot => slot >= from, count));
            }

            map.Erase();
        });

    [Fact]
    public void Clicks_outside_the_stretch_are_counted_and_change_nothing()
    {
        var map = new SlotMap();
        map.Begin(50, 64);
        map.Mark([-1, 0, 63, 64], [1, 2, 4, 8], 50).ShouldBe(2);
        map.Next(0).ShouldBe(0);
        map.Next(1).ShouldBe(63);
        map.Slots[63].ShouldBe((byte)4);
    }
}
