using Microsoft.Extensions.Logging.Abstractions;
using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Link;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Node.Nodes;
using Qkd.Node.Tests.Support;
using Shouldly;

namespace Qkd.Node.Tests.Nodes;

/// <summary>Somebody cuts every session right after its handshake: how long the authentication key lasts, on files and a clock of its own.</summary>
public sealed class SessionLimitTests : IAsyncLifetime
{
    /// <summary>
    /// Tags that such a session costs an end at most: two for the handshake, and one for each of the questions and answers by which the stores
    /// settle up to twenty thousand blocks.
    /// </summary>
    private const int TagsASession = 6;

    /// <summary>Tags that an end can send with a pre-shared key of the default length.</summary>
    private const int Tags = AuthenticationPool.DefaultPreSharedBits / 2 / 256;

    private const double Day = 86_400;

    private readonly ManualTime _time = new();
    private readonly TemporaryFolder _folder = new();
    private readonly BenchLayout _layout;
    private NodeKeys _bob = null!;
    private SessionLimit _limit = null!;

    public SessionLimitTests() => _layout = new BenchLayout(_folder.Path);

    public ValueTask InitializeAsync()
    {
        BenchAuthority.Initialise(_layout, null);

        // A day of a year: a clock that stands at zero has never run.
        _time.Advance(365 * Day);
        Open();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        _limit.Dispose();
        await _bob.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public void The_first_session_begins_at_once_and_the_first_retry_after_a_quarter_of_a_second()
    {
        _limit.Wait().ShouldBe(TimeSpan.Zero);
        _limit.Begin();
        _time.Advance(3600);
        _limit.End();
        _limit.Wait().TotalSeconds.ShouldBe(0.25);
        _time.Advance(0.25);
        _limit.Wait().ShouldBe(TimeSpan.Zero);
    }

    [Fact]
    public void Sessions_without_a_block_come_ever_more_slowly_up_to_ten_minutes()
    {
        Waits(16).ShouldBe([0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600, 600]);
        for (var i = 0; i < 2000; i++)
        {
            _limit.Begin();
        }

        _limit.Wait().TotalSeconds.ShouldBe(600);
    }

    [Fact]
    public void Where_the_key_runs_low_they_come_once_an_hour()
    {
        UseUp((Tags * 3 / 4) + 1);
        Waits(17)[^1].ShouldBe(3600);
    }

    [Fact]
    public async Task Only_a_block_that_both_hold_makes_the_next_cut_a_rare_one_again()
    {
        Waits(10);
        await ConfirmAsync(1);
        _limit.End();
        _limit.Wait().TotalSeconds.ShouldBe(0.25);
        Waits(3).ShouldBe([0.25, 0.5, 1]);
    }

    [Fact]
    public async Task Ending_the_process_and_starting_it_again_is_no_way_round_it()
    {
        Waits(12);
        _limit.Begin();
        await RestartAsync();
        _limit.Wait().TotalSeconds.ShouldBe(600);
        _time.Advance(100);
        _limit.Wait().TotalSeconds.ShouldBe(500);
        Waits(1).ShouldBe([600]);
    }

    [Fact]
    public async Task A_process_that_ended_after_a_block_starts_without_a_wait_to_speak_of()
    {
        Waits(12);
        await ConfirmAsync(1);
        await RestartAsync();
        _limit.Wait().TotalSeconds.ShouldBeLessThanOrEqualTo(0.25);
    }

    [Fact]
    public async Task A_clock_that_was_set_back_makes_nobody_wait_longer_than_the_whole()
    {
        Waits(4);
        await CloseAsync();
        var earlier = new ManualTime();
        Open(earlier);
        _limit.Wait().TotalSeconds.ShouldBe(2);
    }

    [Fact]
    public async Task A_day_of_sessions_that_are_cut_at_once_leaves_half_of_the_key_and_days_do_not_use_it_up()
    {
        var seconds = 0.0;
        var sessions = 0;
        var afterADay = 0;
        while ((sessions + 1) * TagsASession <= Tags)
        {
            var wait = _limit.Wait().TotalSeconds;
            _time.Advance(wait);
            seconds += wait;
            if (seconds <= Day)
            {
                afterADay = Tags - ((sessions + 1) * TagsASession);
            }

            _limit.Begin();
            UseUp(TagsASession);
            sessions++;

            // Now and then whoever it is also makes the process end.
            if (sessions % 50 == 0)
            {
                await RestartAsync();
            }
            else
            {
                _limit.End();
            }
        }

        afterADay.ShouldBeGreaterThanOrEqualTo(Tags / 2);
        (seconds / Day).ShouldBeGreaterThan(5);
    }

    private double[] Waits(int sessions) => [.. Enumerable.Range(0, sessions).Select(_ =>
    {
        _time.Advance(_limit.Wait().TotalSeconds);
        _limit.Begin();
        _limit.End();
        return _limit.Wait().TotalSeconds;
    })];

    private void UseUp(int tags) => _bob.Authentication.Reserve(32 * tags).Dispose();

    /// <summary>A block is stored, and Alice says that she holds it too.</summary>
    private async Task ConfirmAsync(long block)
    {
        var report = new BlockReport { BlockId = block, FirstFrame = 0, FrameCount = 1 };
        await _bob.AcceptAsync(Make.Secret(block, new byte[64]), 0, report, TestContext.Current.CancellationToken);

        // Version, claims; one of them; id, 64 bytes, attested and emulated, Reserved, no flags.
        byte[] claim = [1, 1, 1, 0, (byte)block, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 3, 1, 0];
        await _bob.HandleAsync(LinkTopic.KeyStore, claim, TestContext.Current.CancellationToken);
    }

    private async Task RestartAsync()
    {
        await CloseAsync();
        Open();
    }

    private async Task CloseAsync()
    {
        _limit.Dispose();
        await _bob.DisposeAsync();
    }

    private void Open(ManualTime? time = null)
    {
        _bob = NodeKeys.Open(
            _layout.Bob, LinkEnd.Bob, new KeysOptions { KmeId = "kme-bob", PeerKmeId = "kme-alice" }, true, Make.Monitor(_time), time ?? _time, NullLoggerFactory.Instance);
        _limit = new SessionLimit(_bob, time ?? _time);
    }
}
