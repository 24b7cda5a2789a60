using Qkd.Distillation;
using Qkd.Link.Wire;
using Shouldly;

namespace Qkd.Link.Tests.Session;

/// <summary>How sessions end, and what the ends remember then.</summary>
public sealed class EndingTests
{
    private static readonly LinkTimeouts Impatient = new()
    {
        Block = TimeSpan.FromSeconds(1),
        Request = TimeSpan.FromSeconds(5),
        KeepAlive = TimeSpan.FromMilliseconds(100),
    };

    /// <summary>The cable is pulled out of Bob's machine: no end of the connection ever arrives.</summary>
    [Fact]
    public async Task A_peer_who_vanishes_without_a_word_is_noticed_and_the_light_goes_off()
    {
        await using var link = new TestLink();
        var vanished = false;
        link.Tamper = (from, message) => Volatile.Read(ref vanished) && from == LinkEnd.Bob ? null : message;
        await link.StartAsync(Impatient);
        await link.UntilAsync(() => !link.Bob.Keys.IsEmpty, "a first block");
        Volatile.Write(ref vanished, true);
        await link.UntilAsync(() => link.Alice.Ended is not null, "the end of Alice's session");
        link.Alice.Ended.ShouldBeOfType<LinkException>().Message.ShouldContain("Nothing has come from");
        link.Light.Emitting.ShouldBeFalse();
    }

    [Fact]
    public async Task A_session_that_makes_no_key_goes_on_as_long_as_the_peer_is_there()
    {
        await using var link = new TestLink();
        link.Keeper.IsAligned = false;
        await link.StartAsync(Impatient);
        await link.UntilAsync(() => link.Light.Emitting, "light");
        await Task.Delay(TimeSpan.FromSeconds(2.5), TestContext.Current.CancellationToken);
        link.Alice.Ended.ShouldBeNull();
        link.Bob.Ended.ShouldBeNull();
    }

    /// <summary>The connection is lost while Alice's instruments are being started, and they do not listen to being cancelled.</summary>
    [Fact]
    public async Task A_start_of_light_that_is_under_way_when_the_session_ends_leaves_none_on()
    {
        await using var link = new TestLink();
        var starting = new TaskCompletionSource();
        var go = new TaskCompletionSource();
        link.Light.Starting = () =>
        {
            starting.TrySetResult();
            return go.Task;
        };
        await link.StartAsync();
        await starting.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        var light = link.Light.Emitting;
        await link.AliceConnection!.DisposeAsync();
        await link.UntilAsync(() => link.Bob.Ended is not null, "Bob's end");
        link.Alice.Ended.ShouldBeNull("her session is not over before its requests are");
        go.SetResult();
        await link.EndedAsync();
        light.ShouldBeTrue();
        link.Light.Emitting.ShouldBeFalse();
        link.Light.LeasesEnded.ShouldBe(1);
    }

    [Fact]
    public async Task Light_that_ends_by_an_error_of_any_kind_ends_the_session_as_a_fault_of_the_instrument()
    {
        await using var link = new TestLink();
        link.Light.LoadingFails = new OverflowException("a number of nonsense");
        await link.StartAsync();
        await link.EndedAsync();
        link.Alice.Ended.ShouldBeOfType<Devices.DeviceException>().Message.ShouldContain("light");
        link.Alice.Alarms.ShouldContain(alarm => alarm.Kind == AlarmKind.Device && alarm.Detail.Contains("nonsense"));
        link.Light.Emitting.ShouldBeFalse();
    }

    /// <summary>Her tag cannot be sent any more, but the block is in her store, and Bob might have had the tag.</summary>
    [Fact]
    public async Task A_block_that_Alice_has_stored_is_told_as_accepted_although_her_tag_does_not_get_out()
    {
        await using var link = new TestLink();
        link.Alice.Stored = async () => await link.AliceConnection!.DisposeAsync();
        await link.StartAsync();
        await link.EndedAsync();
        var stored = link.Alice.Keys.ShouldHaveSingleItem().Key;
        link.Alice.Accepted.ShouldHaveSingleItem().BlockId.ShouldBe(stored);
        link.Alice.Discarded.ShouldNotContain(discarded => discarded.Report.BlockId == stored);
        link.Bob.Keys.ShouldBeEmpty();
    }

    /// <summary>Otherwise somebody who spoils the end of block after block would use the authentication key up without ever being slowed down.</summary>
    [Theory]
    [InlineData(MessageType.TranscriptTagBob)]
    [InlineData(MessageType.TranscriptTagAlice)]
    public async Task A_tag_over_a_block_that_does_not_fit_uses_its_pad_up_and_ends_the_session(MessageType type)
    {
        await using var link = new TestLink();
        var place = -1L;
        link.Tamper = (_, message) =>
        {
            if (message.Type != type || Interlocked.Read(ref place) >= 0)
            {
                return message;
            }

            Interlocked.Exchange(ref place, BitConverter.ToInt64(message.Payload.Span[8..]));
            var payload = message.Payload.ToArray();
            payload[^1] ^= 1;
            return message with { Payload = payload };
        };
        await link.StartAsync();
        await link.EndedAsync();
        (type == MessageType.TranscriptTagBob ? link.AliceKey : link.BobKey).Forfeited.ShouldBe([place]);
    }

    [Fact]
    public async Task A_tag_that_is_kept_back_ends_the_session_too()
    {
        await using var link = new TestLink();
        link.Tamper = (_, message) => message.Type == MessageType.TranscriptTagBob ? null : message;
        await link.StartAsync(new() { Block = TimeSpan.FromSeconds(1), Request = TimeSpan.FromSeconds(5) });
        await link.EndedAsync();
        link.Bob.Discarded.ShouldNotBeEmpty();
    }

    [Fact]
    public async Task A_greeting_that_does_not_fit_uses_nothing_up()
    {
        await using var link = new TestLink(sameAuthenticationKey: false);
        await link.StartAsync();
        await link.EndedAsync();
        link.AliceKey.Forfeited.ShouldBeEmpty();
        link.AliceKey.Sent.ShouldBe(0);
    }

    [Fact]
    public async Task Every_block_id_is_told_to_be_used_before_the_block_is_opened()
    {
        await using var link = new TestLink();
        var early = 0;
        link.Tamper = (_, message) =>
        {
            if (message.Type == MessageType.BlockOpen && !link.AliceBlockIds.Contains(message.BlockId))
            {
                Interlocked.Increment(ref early);
            }

            return message;
        };
        await link.StartAsync();
        await link.UntilAsync(() => !link.Bob.Keys.IsEmpty, "a first block");
        await link.StopAsync();
        early.ShouldBe(0);
        link.AliceBlockIds.ShouldBe(Enumerable.Range(1, link.AliceBlockIds.Count).Select(id => (long)id));
        link.BobBlockIds.ShouldNotBeEmpty();
        link.BobBlockIds.Except(link.AliceBlockIds).ShouldBeEmpty();
    }

    [Fact]
    public async Task Anybody_s_words_about_a_block_are_cut_before_they_get_into_a_log()
    {
        await using var link = new TestLink();
        var aborted = 0;
        link.Tamper = (from, message) => from == LinkEnd.Bob && message is { Type: MessageType.Detections, BlockId: 1 } && Interlocked.Exchange(ref aborted, 1) == 0
            ? message with { Type = MessageType.BlockAbort, Payload = Enumerable.Repeat((byte)'x', LinkMessage.MaximumControl).ToArray() }
            : message;
        await link.StartAsync();
        await link.UntilAsync(() => !link.Alice.Discarded.IsEmpty, "a block given up");
        var reason = link.Alice.Discarded.First().Reason;
        reason.ShouldContain(new string('x', 200));
        reason.Length.ShouldBeLessThan(250);
    }
}
