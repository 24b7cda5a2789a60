using NetMQ.Sockets;
using Qkd.Sim.Firmware.IdQuantique;
using Shouldly;
using static Qkd.Sim.Firmware.Tests.IdQuantique.RawClient;

namespace Qkd.Sim.Firmware.Tests.IdQuantique;

/// <summary>What the stream carries, tag by tag.</summary>
public sealed class TimestampTests
{
    private const long Edge = 10_000_000; // 10 µs

    [Fact]
    public async Task A_tag_is_the_time_since_the_last_edge_and_the_number_of_edges_in_this_sub_acquisition()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        var stream = client.OpenStream(1);
        client.Play();

        client.Emulator.RecordClicks(1, [500, 999, 1000, 1001, Edge + 999, Edge + 1000, (5 * Edge) + 1000]);
        client.Emulator.RecordReferenceEdges(1000, Edge, 4);
        client.Emulator.AdvanceTo(Width);

        // Before the first edge there is no reference, so no timestamp; an edge at the same picosecond counts as earlier.
        ReceiveWords(stream).ShouldBe([0, 1, 1, 1, Edge - 1, 1, 0, 2, (2 * Edge), 4]);
        var status = client.AskService("status --id 127.0.0.1:5556");
        status.GetProperty("acquisitions_count").GetInt64().ShouldBe(1);
        status.GetProperty("timestamps_count").GetInt64().ShouldBe(5);
    }

    [Fact]
    public async Task Nothing_is_delivered_before_its_sub_acquisition_has_ended_and_then_everything()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        var stream = client.OpenStream(1);
        client.Play();
        client.Emulator.RecordReferenceEdges(0, Edge, 1);
        client.Emulator.RecordClicks(1, [1]);

        client.Emulator.AdvanceTo(Width - 1);
        ShouldBeQuiet(stream);
        client.Emulator.AdvanceTo(Width);

        ReceiveWords(stream).ShouldBe([1, 1]);
    }

    [Fact]
    public async Task Each_sub_acquisition_starts_anew_and_the_gap_between_is_not_recorded()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        var stream = client.OpenStream(1);
        client.Play();

        client.Emulator.RecordReferenceEdges(Width - 100, 50, 2); // edges at -100 and -50
        client.Emulator.RecordClicks(1, [Width - 1, Width, Period - 1, Period, Period + 30]);
        client.Emulator.RecordReferenceEdges(Period - 10, 20, 2); // edges at -10, which is in the gap, and +10
        client.Emulator.AdvanceTo(Period + Width);

        ReceiveWords(stream).ShouldBe([49, 2]);
        ReceiveWords(stream).ShouldBe([20, 1]);
    }

    [Theory]
    [InlineData(true, new ulong[] { 7, 0, 9, 0 })]
    [InlineData(false, new ulong[] { 7, 9 })]
    public async Task Without_a_reference_a_tag_is_the_time_since_the_start_of_the_sub_acquisition(bool withIndex, ulong[] expected)
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        client.Ask("RAW1:REF:LINK NONE").ShouldBe("Value set to NONE");
        var stream = client.OpenStream(1, withIndex);
        client.Emulator.AdvanceTo(1_000_000);
        client.Play();

        client.Emulator.RecordReferenceEdges(1_000_000, Edge, 4);
        client.Emulator.RecordClicks(1, [1_000_007, 1_000_009]);
        client.Emulator.AdvanceTo(1_000_000 + Width);

        ReceiveWords(stream).ShouldBe(expected);
    }

    [Fact]
    public async Task Without_the_index_a_referenced_tag_is_one_word()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        var stream = client.OpenStream(1, withReferenceIndex: false);
        client.Play();

        client.Emulator.RecordReferenceEdges(0, Edge, 4);
        client.Emulator.RecordClicks(1, [3, Edge + 4]);
        client.Emulator.AdvanceTo(Width);

        ReceiveWords(stream).ShouldBe([3, 4]);
    }

    [Fact]
    public async Task Another_input_can_be_the_reference()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        client.Ask("RAW1:REF:LINK INPU2");
        var stream = client.OpenStream(1);
        client.Play();

        client.Emulator.RecordClicks(1, [100, 250]);
        client.Emulator.RecordClicks(2, [90, 200]);
        client.Emulator.AdvanceTo(Width);

        ReceiveWords(stream).ShouldBe([10, 1, 50, 2]);
    }

    [Fact]
    public async Task An_input_that_is_off_and_a_channel_that_does_not_send_give_nothing()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        var first = client.OpenStream(1);
        var second = client.OpenStream(2);
        client.Ask("INPU1:ENAB OFF;:RAW2:SEND OFF");
        client.Play();

        client.Emulator.RecordReferenceEdges(0, Edge, 1);
        client.Emulator.RecordClicks(1, [100]);
        client.Emulator.RecordClicks(2, [100]);
        client.Emulator.AdvanceTo(Width);

        ReceiveWords(first).ShouldBeEmpty();
        ShouldBeQuiet(second);
    }

    [Fact]
    public async Task A_sub_acquisition_without_tags_gives_an_empty_message()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        var streams = new[] { client.OpenStream(1), client.OpenStream(2) };
        client.Play();

        client.Emulator.RecordReferenceEdges(0, Edge, 1);
        client.Emulator.RecordReferenceEdges(Period, Edge, 1);
        client.Emulator.RecordClicks(2, [Period + 5]);
        client.Emulator.AdvanceTo(Period + Width);

        ReceiveWords(streams[0]).ShouldBeEmpty();
        ReceiveWords(streams[0]).ShouldBeEmpty();
        ReceiveWords(streams[1]).ShouldBeEmpty();
        ReceiveWords(streams[1]).ShouldBe([5, 1]);
    }

    [Fact]
    public async Task A_delay_moves_an_input_even_into_the_next_sub_acquisition()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        client.Ask("DELA1:VALU 50000;LINK INPU1");
        client.Ask("DELA2:VALU 7;LINK STAR");
        var streams = new[] { client.OpenStream(1), client.OpenStream(2) };
        client.Play();

        client.Emulator.RecordReferenceEdges(0, Edge, 1);
        client.Emulator.RecordClicks(1, [100, Width - 1]); // the second arrives 9 999 ps into the next one
        client.Emulator.RecordClicks(2, [100]);
        client.Emulator.AdvanceTo(Width);
        client.Emulator.RecordReferenceEdges(Period + 10, Edge, 1);
        client.Emulator.AdvanceTo(Period + Width);

        ReceiveWords(streams[0]).ShouldBe([50_093, 1]);
        ReceiveWords(streams[0]).ShouldBe([9_982, 1]);
        ReceiveWords(streams[1]).ShouldBe([93, 1]);
    }

    [Fact]
    public async Task Pulses_may_be_recorded_out_of_turn_but_not_too_late()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        client.Ask("RAW1:REF:LINK NONE");
        var stream = client.OpenStream(1, withReferenceIndex: false);
        client.Play();

        client.Emulator.RecordClicks(1, [300, 400]);
        client.Emulator.RecordClicks(1, [100, 350, 600]);
        client.Emulator.AdvanceTo(500);
        client.Emulator.RecordClicks(1, [499, 500, 550]);
        client.Emulator.AdvanceTo(Width);

        ReceiveWords(stream).ShouldBe([100, 300, 350, 400, 500, 550, 600]);
        client.Emulator.LatePulses.ShouldBe(1);
        Should.Throw<ArgumentOutOfRangeException>(() => client.Emulator.AdvanceTo(Width - 1));
    }

    [Fact]
    public async Task A_stop_delivers_what_there_is_and_a_new_start_begins_anew()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        var stream = client.OpenStream(1);
        client.Play();
        client.Emulator.RecordReferenceEdges(0, Edge, 2);
        client.Emulator.RecordClicks(1, [Edge + 3]);
        client.Emulator.AdvanceTo(Edge * 2);

        client.Ask("REC:STOP");
        ReceiveWords(stream).ShouldBe([3, 2]);
        client.Emulator.RecordClicks(1, [Edge * 3]);
        client.Emulator.AdvanceTo(Edge * 4);
        client.Play();
        client.Emulator.RecordReferenceEdges(Edge * 5, Edge, 1);
        client.Emulator.RecordClicks(1, [(Edge * 5) + 8]);
        client.Emulator.AdvanceTo((Edge * 4) + Width);

        ReceiveWords(stream).ShouldBe([8, 1]);
        ShouldBeQuiet(stream);
    }

    [Fact]
    public async Task A_counted_number_of_records_is_delivered_after_the_last()
    {
        await using var client = await StartAsync();
        client.ConfigureLive();
        client.Ask("REC:NUM 2");
        var stream = client.OpenStream(1);
        client.Play();

        client.Emulator.RecordReferenceEdges(0, Edge, 1);
        client.Emulator.RecordReferenceEdges(Period, Edge, 1);
        client.Emulator.RecordClicks(1, [1, Period + 2]);
        client.Emulator.AdvanceTo(Period + Width - 1);
        ShouldBeQuiet(stream);
        client.Ask("REC:STAG?").ShouldBe("PLAYING");
        client.Emulator.AdvanceTo(Period + Width);

        ReceiveWords(stream).ShouldBe([1, 1]);
        ReceiveWords(stream).ShouldBe([2, 1]);
        client.Ask("REC:STAG?").ShouldBe("STOPPED");
    }

    [Fact]
    public async Task A_long_sub_acquisition_comes_in_several_messages_in_order()
    {
        await using var client = await StartAsync(new Id900Settings { MaxMessageBytes = 1600 });
        client.ConfigureLive();
        client.Ask("RAW1:REF:LINK NONE");
        var stream = client.OpenStream(1);
        client.Play();

        client.Emulator.RecordClicks(1, [.. Enumerable.Range(0, 250).Select(i => 10L * i)]);
        client.Emulator.AdvanceTo(Width);

        var messages = new[] { ReceiveWords(stream), ReceiveWords(stream), ReceiveWords(stream) };
        messages.Select(message => message.Length).ShouldBe([200, 200, 100]);
        messages.SelectMany(message => message.Where((_, i) => i % 2 == 0)).ShouldBe(Enumerable.Range(0, 250).Select(i => 10UL * (ulong)i));
    }

    /// <summary>
    /// Four channels, a clock that is off and drifts, edges and clicks in stretches of any length and order: every word against a plain
    /// simulation from the definitions.
    /// </summary>
    [Theory]
    [InlineData(1, 0, 0, 0)]
    [InlineData(2, 123_456_789_012, 12.5, 0)]
    [InlineData(3, -40_000_000_000, -70, 3)]
    public async Task Every_tag_is_exact_across_sub_acquisitions(int seed, long offset, double ppm, double drift)
    {
        await using var client = await StartAsync(new Id900Settings
        {
            ClockOffsetPicoseconds = offset,
            ClockOffsetPpm = ppm,
            ClockDriftPpmPerSecond = drift,
            MaxMessageBytes = 64_000,
        });
        client.ConfigureLive();
        var random = new Random(seed);
        var streams = Enumerable.Range(1, 4).Select(channel => client.OpenStream(channel)).ToArray();
        var started = random.NextInt64(Second);
        client.Emulator.AdvanceTo(started);
        client.Play();

        const int acquisitions = 3;
        var end = started + (acquisitions * Period) + (Period / 2);
        var clicks = new List<long>[] { [], [], [], [] };
        var edges = new List<long>();
        var nextEdge = started + random.NextInt64(Edge);
        for (var time = started; time < end;)
        {
            var until = Math.Min(end, time + random.NextInt64(1, Second / 100));
            var count = (int)Math.Max(0, (until - nextEdge + Edge - 1) / Edge);
            var edgesFirst = random.Next(2) == 0;
            if (edgesFirst)
            {
                RecordEdges(count);
            }

            for (var channel = 0; channel < 4; channel++)
            {
                var stretch = Enumerable.Range(0, random.Next(300)).Select(_ => random.NextInt64(time, until)).Order().ToArray();
                clicks[channel].AddRange(stretch);
                client.Emulator.RecordClicks(channel + 1, stretch);
            }

            if (!edgesFirst)
            {
                RecordEdges(count);
            }

            client.Emulator.AdvanceTo(until);
            time = until;
        }

        for (var channel = 0; channel < 4; channel++)
        {
            foreach (var expected in Simulate(clicks[channel], edges).Take(acquisitions))
            {
                ReceiveAcquisition(streams[channel], expected.Count).ShouldBe(expected);
            }
        }

        void RecordEdges(int count)
        {
            client.Emulator.RecordReferenceEdges(nextEdge, Edge, count);
            edges.AddRange(Enumerable.Range(0, count).Select(i => nextEdge + (i * Edge)));
            nextEdge += count * Edge;
        }

        IEnumerable<List<ulong>> Simulate(List<long> clickTimes, List<long> edgeTimes)
        {
            var start = Device(started);
            for (var acquisition = 0; ; acquisition++, start += Period)
            {
                var inside = edgeTimes.Select(Device).Where(time => time >= start && time < start + Width).ToList();
                var words = new List<ulong>();
                var seen = 0;
                foreach (var time in clickTimes.Select(Device).Where(time => time >= start && time < start + Width))
                {
                    while (seen < inside.Count && inside[seen] <= time)
                    {
                        seen++;
                    }

                    if (seen > 0)
                    {
                        words.Add((ulong)(time - inside[seen - 1]));
                        words.Add((ulong)seen);
                    }
                }

                yield return words;
            }
        }

        long Device(long bench) => DeviceClockTests.Plainly(bench, offset, ppm, drift);

        static List<ulong> ReceiveAcquisition(PairSocket stream, int words)
        {
            var received = new List<ulong>();
            do
            {
                received.AddRange(ReceiveWords(stream));
            }
            while (received.Count < words);

            return received;
        }
    }
}
