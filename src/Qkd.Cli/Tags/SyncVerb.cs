using System.CommandLine;
using Qkd.Cli.Commands;
using Qkd.Cli.Plots;
using Qkd.Timing;
using Qkd.Timing.Clocks;
using Qkd.Timing.Correlation;
using Qkd.Timing.Formats;
using Qkd.Timing.Gating;
using Spectre.Console;

namespace Qkd.Cli.Tags;

/// <summary>
/// <c>qkd tags sync</c>: finds the sender's clock in a receiver's tags, by its light and pilots or by its marker; or two receivers of photon pairs in each other.
/// </summary>
internal sealed class SyncVerb : TagsVerb
{
    private readonly Argument<string?> _second = new("SECOND") { Description = "The other receiver's file, for a source of pairs.", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<double> _period = new("--period-ps") { Description = "Nominal length of a slot.", DefaultValueFactory = _ => 10_000, HelpName = "PS" };
    private readonly Option<string?> _detectors = new("--detectors") { Description = "Channels of the detectors; all that the file has if left out.", HelpName = "N,N,..." };
    private readonly Option<int?> _marker = new("--marker") { Description = "Find the clock by the marker on this channel (0 is the sync input) instead of the light.", HelpName = "N" };
    private readonly Option<int> _divisor = new("--divisor") { Description = "Slots from marker to marker.", DefaultValueFactory = _ => 1000, HelpName = "N" };
    private readonly Option<int> _frameSlots = new("--frame-slots") { Description = "Slots a frame.", DefaultValueFactory = _ => 1_000_000, HelpName = "N" };
    private readonly Option<int> _pilotSlots = new("--pilot-slots") { Description = "Pilot slots at the head of each frame.", DefaultValueFactory = _ => 4096, HelpName = "N" };
    private readonly Option<int> _vacuum = new("--vacuum") { Description = "Index of the weakest intensity.", DefaultValueFactory = _ => 2, HelpName = "N" };
    private readonly Option<long> _firstFrame = new("--first-frame") { Description = "First frame that the file may begin in.", HelpName = "N" };
    private readonly Option<int> _frames = new("--frames") { Description = "How many frames it may begin in.", DefaultValueFactory = _ => 64, HelpName = "N" };
    private readonly Option<int> _wait = new("--wait-frames") { Description = "How many frames after the first tag the light may begin with --first-frame.", HelpName = "N" };
    private readonly Option<string?> _plot = new("--plot") { Description = "Draw when tags come within a slot: .png or .svg.", HelpName = "FILE" };

    protected override void AddTo(Command command)
    {
        command.Add(_second);
        foreach (var option in new Option[] { _period, _detectors, _marker, _divisor, _frameSlots, _pilotSlots, _vacuum, _firstFrame, _frames, _wait, _plot })
        {
            command.Add(option);
        }
    }

    protected override int Run(ParseResult parsed, CancellationToken cancellationToken) => parsed.GetValue(_second) is { } second
        ? Pairs(parsed, second, cancellationToken)
        : parsed.GetValue(_marker) is { } marker ? Marker(parsed, marker, cancellationToken) : Light(parsed, cancellationToken);

    private int Light(ParseResult parsed, CancellationToken cancellationToken)
    {
        var file = FileOf(parsed);
        var channels = parsed.GetValue(_detectors) is { } text ? Channels("--detectors", text) : DetectorsOf(parsed, file, cancellationToken);
        var settings = new SignalClockSettings
        {
            SlotPeriodPicoseconds = parsed.GetValue(_period),
            Detectors = channels.Length,
            FrameSlots = parsed.GetValue(_frameSlots),
            PilotSlots = parsed.GetValue(_pilotSlots),
            VacuumIntensity = parsed.GetValue(_vacuum),
            FirstFrame = parsed.GetValue(_firstFrame),
            FramesToTry = parsed.GetValue(_frames),
            LongestWaitFrames = parsed.GetValue(_wait),
        };
        SignalClock clock;
        try
        {
            clock = new SignalClock(settings);
        }
        catch (ArgumentException e)
        {
            throw new UsageException(e.Message);
        }

        using var reader = Open(parsed);
        var times = Times(reader.Info);
        var arrivals = new ArrivalHistogram(channels.Length);
        double? lockedAfter = null;
        long? start = null, firstSlot = null;
        var fault = ReadAll(parsed, reader, file, Take, cancellationToken);
        var report = new SyncReport(
            clock.State.ToString().ToLowerInvariant(), clock.Clock, settings.SlotPeriodPicoseconds, firstSlot, lockedAfter, clock.JitterSlots * settings.SlotPeriodPicoseconds,
            clock.PhaseErrorSlots * settings.SlotPeriodPicoseconds, clock.LightShare, clock.NumberingSigmas, clock.Losses, clock.Slips, null, null);
        report.Write(IsJson(parsed), fault);
        if (parsed.GetValue(_plot) is { } plot)
        {
            Draw(plot, channels, arrivals, settings.SlotPeriodPicoseconds);
        }

        var ended = End(file, fault);
        if (clock.State != ClockState.Locked && ended == ExitCodes.Success)
        {
            Console.Error.WriteLine($"{file}: no clock was found in the light{(clock.State == ClockState.Counting ? " beyond where slots lie: their pilot was not found" : "")}.");
            return ExitCodes.Failure;
        }

        return ended;

        void Take(TagBuffer buffer)
        {
            var (picoseconds, detectors) = Pick(times.Of(buffer), buffer.Channels, channels);
            start ??= picoseconds.Length > 0 ? picoseconds[0] : null;
            foreach (var stretch in clock.Add(picoseconds, detectors))
            {
                if (stretch.State == ClockState.Locked && lockedAfter is null)
                {
                    // From here back to the first tag is not far; from the end of the file it might be.
                    lockedAfter = (picoseconds[stretch.From] - start!.Value) * 1e-12;
                    firstSlot = stretch.Clock.At(start.Value).Slot;
                }

                for (var i = stretch.From; i < stretch.To; i++)
                {
                    arrivals.Count(detectors[i], stretch.Clock.At(picoseconds[i]).Late);
                }
            }
        }
    }

    private int Marker(ParseResult parsed, int marker, CancellationToken cancellationToken)
    {
        var (period, divisor) = (parsed.GetValue(_period), parsed.GetValue(_divisor));
        if (divisor < 1 || !(period * divisor is >= 50 and <= 1e9))
        {
            throw new UsageException(Text($"--period-ps {period}, --divisor {divisor}: a marker every 50 ps to 1 ms"));
        }

        var file = FileOf(parsed);
        using var reader = Open(parsed);
        var times = Times(reader.Info);
        var clock = new MarkerClock(period, divisor);
        var fault = ReadAll(parsed, reader, file, Take, cancellationToken);
        var found = clock.Clock;
        new SyncReport(
            found is null ? "searching" : "locked", found, period, found is null ? null : 0, null, clock.JitterPicoseconds, null, null, null, null, null, clock.Missing, clock.Extra).Write(IsJson(parsed), fault);
        var ended = End(file, fault);
        if (found is null && ended == ExitCodes.Success)
        {
            Console.Error.WriteLine($"{file}: channel {marker} has no marker every {divisor} slots.");
            return ExitCodes.Failure;
        }

        return ended;

        void Take(TagBuffer buffer)
        {
            var (picoseconds, _) = Pick(times.Of(buffer), buffer.Channels, [marker]);
            clock.Add(picoseconds);
        }
    }

    private int Pairs(ParseResult parsed, string second, CancellationToken cancellationToken)
    {
        var file = FileOf(parsed);
        var (first, fault) = All(parsed, file, cancellationToken);
        var (other, otherFault) = All(parsed, second, cancellationToken);
        var found = new PairSynchroniser(new PairSettings()).Find(first, other);
        if (IsJson(parsed))
        {
            Console.WriteLine(JsonOutput.Serialize(new
            {
                State = found is null ? "searching" : "locked",
                OffsetS = found?.OffsetPicoseconds * 1e-12,
                found?.DeviationPpm,
                JitterS = found?.JitterPicoseconds * 1e-12,
                found?.Chance,
            }));
        }
        else if (found is not null)
        {
            var facts = new FactTable();
            facts.Row("offset", Text($"{found.OffsetPicoseconds / 1000:0.###} ns"));
            facts.Row("second clock", Text($"{found.DeviationPpm:0.#####} ppm fast"));
            facts.Row("pairs' jitter", Text($"{found.JitterPicoseconds:0.#} ps"));
            facts.Row("by chance", Text($"{found.Chance:0.#e0}"));
            facts.Write();
        }

        if (found is null)
        {
            Console.Error.WriteLine($"{file}, {second}: no pairs stand out.");
        }

        var ended = Math.Max(End(file, fault), End(second, otherFault));
        return found is null ? ExitCodes.Failure : ended;
    }

    /// <summary>The channels that have photons, from the file's first tags.</summary>
    private int[] DetectorsOf(ParseResult parsed, string file, CancellationToken cancellationToken)
    {
        using var reader = Open(parsed);
        var buffer = new TagBuffer();
        try
        {
            for (var buffers = 0; buffers < 8 && reader.Read(buffer); buffers++)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
        catch (TagFormatException)
        {
            // It is told when the file is read for good.
        }

        int[] found = [.. reader.Counts.Channels.Where(channel => channel != TagBuffer.SyncChannel)];
        return found.Length is >= 1 and <= 64 ? found : throw new InvalidDataException($"{file}: it has no tags of detectors");
    }

    /// <summary>Tags of detectors, all of them in memory: a correlation has to look at both ends of a file.</summary>
    private (long[] Times, TagFormatException? Fault) All(ParseResult parsed, string file, CancellationToken cancellationToken)
    {
        using var reader = Open(parsed, file);
        var times = Times(reader.Info);
        var all = new List<long>();
        var fault = ReadAll(parsed, reader, file, buffer =>
        {
            var picoseconds = times.Of(buffer);
            for (var i = 0; i < picoseconds.Length; i++)
            {
                if (buffer.Channels[i] is > TagBuffer.SyncChannel and < TagBuffer.MarkerFlag)
                {
                    all.Add(picoseconds[i]);
                }
            }
        }, cancellationToken);
        return ([.. all], fault);
    }

    private static (long[] Times, byte[] Indexes) Pick(ReadOnlySpan<long> times, ReadOnlySpan<byte> channels, int[] wanted)
    {
        Span<int> indexes = stackalloc int[256];
        indexes.Fill(-1);
        foreach (var (index, channel) in wanted.Index())
        {
            indexes[channel] = index;
        }

        var (picked, of) = (new List<long>(times.Length), new List<byte>(times.Length));
        for (var i = 0; i < times.Length; i++)
        {
            if (indexes[channels[i]] is >= 0 and var index)
            {
                picked.Add(times[i]);
                of.Add((byte)index);
            }
        }

        return ([.. picked], [.. of]);
    }

    private static void Draw(string file, int[] channels, ArrivalHistogram arrivals, double period)
    {
        var unit = TimeUnit.For(period);
        SeriesPlot.Save(
            file,
            "Arrivals within a slot",
            $"after the slot's centre ({unit.Name})",
            "tags a bin",
            [.. channels.Select((channel, detector) => new Series(
                $"channel {channel}",
                [.. Enumerable.Range(0, arrivals.Bins).Select(bin => (((bin + 0.5) / arrivals.Bins) - 0.5) * period / unit.Picoseconds)],
                [.. arrivals[detector].ToArray().Select(count => (double)count)]))],
            steps: true,
            "");
    }
}
