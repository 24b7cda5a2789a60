using Qkd.Drivers.IdQuantique.Id900;
using Shouldly;

namespace Qkd.Drivers.Tests.IdQuantique;

public sealed class SubAcquisitionsTests
{
    [Theory]
    [InlineData(10, new int[0], new int[0], 1, new[] { 10 })]
    [InlineData(10, new[] { 4 }, new int[0], 2, new[] { 4, 10 })]
    [InlineData(10, new[] { 4, 7 }, new[] { 4 }, 4, new[] { 4, 4, 7, 10 })]
    [InlineData(10, new int[0], new[] { 0 }, 2, new[] { 0, 10 })]
    [InlineData(10, new int[0], new[] { 10 }, 2, new[] { 10, 10 })]
    [InlineData(10, new int[0], new[] { 0, 0, 6, 10 }, 6, new[] { 0, 0, 6, 6, 10, 10 })]
    [InlineData(0, new int[0], new int[0], 3, new[] { 0, 0, 0 })]
    public void Several_are_told_apart_by_restarts_and_empty_messages(int tags, int[] restarts, int[] silent, int count, int[] ends) =>
        SubAcquisitions.Split(tags, restarts, silent, count).ShouldBe(ends);

    [Theory]
    [InlineData(10, new int[0], new int[0], 2)]
    [InlineData(10, new[] { 4 }, new int[0], 3)]
    [InlineData(10, new[] { 4, 7 }, new int[0], 2)]
    public void They_are_not_guessed_at(int tags, int[] restarts, int[] silent, int count) =>
        SubAcquisitions.Split(tags, restarts, silent, count).ShouldBeNull();
}
