using Qkd.Link.Preparation;
using Shouldly;

namespace Qkd.Link.Tests.Preparation;

public sealed class PreparationRecordTests
{
    private const int FrameSlots = 128;

    private static CancellationToken Ending => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Keeps_the_newest_frames_while_no_key_is_made()
    {
        using var record = new PreparationRecord(FrameSlots, 4);
        record.Reset(10);
        for (var i = 0; i < 6; i++)
        {
            await Append(record);
        }

        record.FirstFrame.ShouldBe(12);
        record[12][0].ShouldBe(12UL);
        record[15][0].ShouldBe(15UL);
        Should.Throw<LinkException>(() => record[11].Length);
        Should.Throw<LinkException>(() => record[16].Length);
    }

    [Fact]
    public async Task Holds_the_writer_back_once_key_is_made_and_lets_him_go_on_when_frames_are_released()
    {
        using var record = new PreparationRecord(FrameSlots, 3);
        for (var i = 0; i < 3; i++)
        {
            await Append(record);
        }

        record.Hold(1).ShouldBe(1);
        (await Append(record)).ShouldBe(3);

        var waiting = Append(record);
        await Task.Delay(50, Ending);
        waiting.IsCompleted.ShouldBeFalse();

        record.ReleaseBefore(2);
        (await waiting.WaitAsync(TimeSpan.FromSeconds(10), Ending)).ShouldBe(4);
        record[2][0].ShouldBe(2UL);
    }

    [Fact]
    public async Task Cannot_hold_a_frame_that_is_gone()
    {
        using var record = new PreparationRecord(FrameSlots, 2);
        for (var i = 0; i < 5; i++)
        {
            await Append(record);
        }

        record.Hold(2).ShouldBe(3);
        record.Hold(3).ShouldBe(3);
    }

    [Fact]
    public async Task A_released_hold_lets_old_frames_give_way_again()
    {
        using var record = new PreparationRecord(FrameSlots, 2);
        await Append(record);
        await Append(record);
        record.Hold(0).ShouldBe(0);
        var waiting = Append(record);
        record.ReleaseHold();
        (await waiting.WaitAsync(TimeSpan.FromSeconds(10), Ending)).ShouldBe(2);
    }

    [Fact]
    public async Task Waiting_for_a_frame_ends_with_the_writers_failure()
    {
        using var record = new PreparationRecord(FrameSlots, 2);
        var failed = Task.FromException(new LinkException("no symbols"));
        await Should.ThrowAsync<LinkException>(async () => await record.WaitForFrameAsync(0, failed, Ending));
    }

    private static async Task<long> Append(PreparationRecord record) =>
        (await record.AppendAsync((frame, symbols) => symbols.Span.Fill((ulong)frame), Ending)).Frame;
}
