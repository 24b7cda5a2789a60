using NetMQ;
using Qkd.Sim.Firmware.IdQuantique;
using Shouldly;
using static Qkd.Sim.Firmware.Tests.IdQuantique.RawClient;

namespace Qkd.Sim.Firmware.Tests.IdQuantique;

/// <summary>A host that is slow or gone, and pulses that come too fast.</summary>
public sealed class BacklogTests
{
    private long _acquisition;

    [Fact]
    public async Task A_host_that_does_not_take_its_data_makes_the_instrument_backlogged_until_it_does()
    {
        await using var client = await StartAsync(new Id900Settings { HostPatience = TimeSpan.FromMinutes(1) });
        client.ConfigureLive();
        client.StartStream(1);
        client.Play();

        RunAcquisitions(client, 2, tags: 3);
        client.Emulator.Backlogged.ShouldBeFalse();
        RunAcquisitions(client, 1, tags: 3);
        client.Emulator.Backlogged.ShouldBeTrue();

        var stream = client.ConnectStream(1);
        for (var i = 0; i < 3; i++)
        {
            ReceiveWords(stream).Length.ShouldBe(6);
        }

        SpinWait.SpinUntil(() => !client.Emulator.Backlogged, TimeSpan.FromSeconds(20)).ShouldBeTrue();
        client.Ask("RAW1:ERRORS?").ShouldBe("0");
    }

    [Fact]
    public async Task A_host_that_is_gone_does_not_hold_the_bench_and_what_it_misses_is_dropped_and_counted()
    {
        await using var client = await StartAsync(new Id900Settings { HostPatience = TimeSpan.Zero, OverflowAcquisitions = 4 });
        client.ConfigureLive();
        client.StartStream(1);
        client.Play();

        RunAcquisitions(client, 10, tags: 5);

        client.Emulator.Backlogged.ShouldBeFalse();
        client.Ask("RAW1:ERRORS?;:RAW2:ERRORS?").ShouldBe("30\n0");
        var status = client.AskService("status --id 127.0.0.1:5556");
        status.GetProperty("acquisitions_count").GetInt64().ShouldBe(10);
        status.GetProperty("timestamps_count").GetInt64().ShouldBe(20);

        // What was kept is delivered to whoever comes, and then the stream goes on.
        var stream = client.ConnectStream(1);
        for (var i = 0; i < 4; i++)
        {
            ReceiveWords(stream).Length.ShouldBe(10);
        }

        client.Ask("RAW1:ERRORS:CLEAR");
        SpinWait.SpinUntil(() => client.Ask("RAW1:ERRORS?") == "0", TimeSpan.FromSeconds(20)).ShouldBeTrue();
        RunAcquisitions(client, 1, tags: 7);
        ReceiveWords(stream).Length.ShouldBe(14);
        client.Ask("RAW1:ERRORS?").ShouldBe("0");
    }

    [Fact]
    public async Task When_the_memory_is_full_tags_are_dropped_and_counted_and_the_index_goes_on()
    {
        await using var client = await StartAsync(new Id900Settings { BufferTags = 40, HostPatience = TimeSpan.Zero });
        client.ConfigureLive();
        client.StartStream(1);
        client.Play();

        // Each stretch has 10 tags; half the memory is handed over early, the rest is dropped once nobody takes it.
        for (var i = 0; i < 10; i++)
        {
            var at = i * 1_000_000L;
            client.Emulator.RecordReferenceEdges(at, 1_000_000, 1);
            client.Emulator.RecordClicks(1, [.. Enumerable.Range(1, 10).Select(tag => at + tag)]);
            client.Emulator.AdvanceTo(at + 1_000_000);
        }

        client.Emulator.AdvanceTo(Width);
        var lost = int.Parse(client.Ask("RAW1:ERRORS?"));
        var stream = client.ConnectStream(1);
        var words = new List<ulong>();
        while (words.Count < 2 * (100 - lost))
        {
            words.AddRange(ReceiveWords(stream));
        }

        lost.ShouldBe(60);
        words.Where((_, i) => i % 2 == 0).ShouldBe(Enumerable.Range(0, 40).Select(i => (ulong)((i % 10) + 1)));
        words.Where((_, i) => i % 2 == 1).ShouldBe(Enumerable.Range(0, 40).Select(i => (ulong)((i / 10) + 1)));
    }

    [Fact]
    public async Task More_tags_than_it_sustains_stop_the_streams_until_they_are_started_again()
    {
        await using var client = await StartAsync(new Id900Settings { MaximumTagRateHertz = 1000 }); // 200 in a sub-acquisition
        client.ConfigureLive();
        var first = client.OpenStream(1);
        var second = client.OpenStream(2);
        client.Play();

        RunAcquisitions(client, 1, tags: 200);
        ReceiveWords(first).Length.ShouldBe(400);
        ReceiveWords(second).ShouldBeEmpty();
        RunAcquisitions(client, 1, tags: 201);

        ShouldBeQuiet(first);
        foreach (var channel in new[] { 1, 2 })
        {
            var status = client.AskService($"status --id 127.0.0.1:{5555 + channel}");
            status.GetProperty("errors")[0].GetProperty("description").GetString()!.ShouldContain("1000 timestamps/s");
            status.GetProperty("error").GetProperty("description").GetString()!.ShouldContain("1000 timestamps/s");
            status.GetProperty("acquisitions_count").GetInt64().ShouldBe(1);
        }

        client.Ask("RAW1:ERRORS?;:INPU1:HIRES:ERROR?").ShouldBe("201\n1001");
        RunAcquisitions(client, 1, tags: 10);
        ShouldBeQuiet(first);

        client.AskService("stop --id 127.0.0.1:5556").GetProperty("status").GetProperty("errors").GetArrayLength().ShouldBe(1);
        client.Disconnect(first);
        client.Ask("INPU1:HIRES:ERROR:CLEAR;:RAW1:ERRORS:CLEAR");
        first = client.OpenStream(1);
        RunAcquisitions(client, 1, tags: 10);
        ReceiveWords(first).Length.ShouldBe(20);
        client.Ask("RAW1:ERRORS?;:INPU1:HIRES:ERROR?").ShouldBe("0\n0");
    }

    [Fact]
    public async Task Another_client_takes_over_a_stream()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        var first = client.OpenStream(1);
        client.Play();
        RunAcquisitions(client, 1, tags: 1);
        ReceiveWords(first).Length.ShouldBe(2);

        client.Disconnect(first);

        // A PAIR socket has one peer: whoever comes before the first is wholly gone is not served and has to come again, and what
        // leaves meanwhile is lost with the first.
        ulong[] words = [];
        SpinWait.SpinUntil(
            () =>
            {
                var second = client.ConnectStream(1);
                RunAcquisitions(client, 1, tags: 2);
                var served = second.Poll(PollEvents.PollIn, TimeSpan.FromMilliseconds(200)) != PollEvents.None;
                words = served ? ReceiveWords(second) : [];
                client.Disconnect(second);
                return served;
            },
            TimeSpan.FromSeconds(20)).ShouldBeTrue();
        words.Length.ShouldBe(4);
    }

    [Fact]
    public async Task Garbage_cuts_stream_messages_short_and_silence_holds_them_back()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        var stream = client.OpenStream(1);
        client.Play();

        client.Emulator.Inject(InstrumentFault.Garbage);
        RunAcquisitions(client, 1, tags: 2);
        ReceiveBytes(stream).Length.ShouldBe(29);
        client.Emulator.Inject(InstrumentFault.Silent);
        RunAcquisitions(client, 1, tags: 2);
        ShouldBeQuiet(stream);
        client.Emulator.Inject(InstrumentFault.None);
        ReceiveBytes(stream).Length.ShouldBe(32);
    }

    [Fact]
    public async Task Arrays_are_not_reused_while_they_are_still_being_sent()
    {
        // Long messages to a host that takes them slowly, so that many are under way at once.
        await using var client = await StartAsync(new Id900Settings { MaxMessageBytes = 160_000, HostPatience = TimeSpan.FromMinutes(1) });
        client.ConfigureLive();
        client.Ask("RAW1:REF:LINK NONE");
        var stream = client.OpenStream(1);
        client.Play();
        const int tags = 50_000;
        ulong value = 0;
        for (var acquisition = 0; acquisition < 30; acquisition++)
        {
            var start = acquisition * Period;
            client.Emulator.RecordClicks(1, [.. Enumerable.Range(0, tags).Select(i => start + acquisition + (4L * i))]);
            client.Emulator.AdvanceTo(start + Period);
            if (acquisition % 3 == 2)
            {
                for (var back = 2; back >= 0; back--)
                {
                    value = (ulong)(acquisition - back);
                    for (var count = 0; count < tags;)
                    {
                        var words = ReceiveWords(stream);
                        for (var i = 0; i < words.Length; i += 2, count++)
                        {
                            if (words[i] != value + (4UL * (ulong)count))
                            {
                                words[i].ShouldBe(value + (4UL * (ulong)count), $"acquisition {value}, tag {count}");
                            }
                        }
                    }
                }
            }
        }

        value.ShouldBe(29UL);
    }

    /// <summary>Whole sub-acquisitions with an edge and so many tags on input 1 in each.</summary>
    private void RunAcquisitions(RawClient client, int count, int tags)
    {
        for (var i = 0; i < count; i++, _acquisition++)
        {
            var start = _acquisition * Period;
            client.Emulator.RecordReferenceEdges(start, 1_000_000, 1);
            client.Emulator.RecordClicks(1, [.. Enumerable.Range(1, tags).Select(tag => start + tag)]);
            client.Emulator.AdvanceTo(start + Width);
        }
    }
}
