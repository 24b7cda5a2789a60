using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Qkd.Devices;
using Qkd.Drivers.Tests.Support;
using Qkd.Sim.Firmware;
using Shouldly;

namespace Qkd.Drivers.Tests.Contracts;

/// <summary>
/// What every driver of a modulator that takes symbols must do. The test plays the light: it says how many slots leave, and compares what
/// left with what was loaded. Make the instrument with a small buffer, some ten frames long.
/// </summary>
public abstract class PolarizationModulatorContract : DeviceContract
{
    private const int Frame = 640;
    private const int PilotSlots = 128;
    private const int WordsPerFrame = Frame / 16;

    /// <summary>Whether slots leave the instrument now.</summary>
    protected abstract bool TrueRunning { get; }

    /// <summary>Every how many slots the instrument sends a marker.</summary>
    protected abstract int TrueMarkerDivisor { get; }

    /// <summary>Does what must be done at the instrument before it starts, e.g. switches the light on; lasts for the test.</summary>
    protected virtual Task AllowStartAsync(IPolarizationModulator modulator) => Task.CompletedTask;

    /// <summary>Lets time pass for so many slots, a multiple of 64. Where symbols are short, time waits for them.</summary>
    /// <returns>What left, packed, and the number of its first slot.</returns>
    protected abstract (long FirstSlot, ulong[] Packed) Emit(int slots);

    /// <summary>Lets time pass for a slot that has no symbol.</summary>
    protected abstract void RunDry();

    [Fact]
    public async Task States_modulator_capabilities_that_make_sense()
    {
        var capabilities = (await OpenModulatorAsync()).ModulatorCapabilities;
        capabilities.SymbolRateHertz.ShouldBePositive();
        capabilities.IntensityCount.ShouldBeInRange(1, 4);
        capabilities.Modes.ShouldNotBeEmpty();
        capabilities.Modes.ShouldBeUnique();
        capabilities.BufferSlots.ShouldBeGreaterThanOrEqualTo(64);
        capabilities.MaximumMarkerDivisor.ShouldBePositive();
    }

    [Fact]
    public async Task Nothing_runs_after_opening_and_nothing_can_be_loaded_before_a_plan()
    {
        var modulator = await OpenModulatorAsync();
        var status = await modulator.GetModulatorStatusAsync(TestLimits.Token).WithinLimit();
        (status.Running, status.BufferedSlots, status.Underruns, status.Fault).ShouldBe((false, 0, 0, ""));
        await Should.ThrowAsync<DeviceException>(async () => await modulator.LoadSymbolsAsync(new ulong[4], TestLimits.Token).WithinLimit());
        await Should.ThrowAsync<DeviceException>(async () => await modulator.LoadSeedAsync(0, new byte[32], TestLimits.Token).WithinLimit());
    }

    [Fact]
    public async Task Symbols_leave_in_order_however_they_are_cut_into_blocks()
    {
        var modulator = await OpenModulatorAsync();
        await ConfigureAsync(modulator);
        var random = new Random(1);
        var sent = Draw(random, 5 * (int)modulator.ModulatorCapabilities.BufferSlots);
        var loading = LoadInBlocksAsync();
        await UntilBufferedAsync(modulator, Frame);
        await AllowStartAsync(modulator);
        await modulator.StartAsync(3 * Frame, TestLimits.Token).WithinLimit();

        var left = new List<ulong>();
        await TestLimits.UntilAsync(() =>
        {
            while (Emit(64 * 7) is { Packed.Length: > 0 } some)
            {
                some.FirstSlot.ShouldBe((3 * Frame) + (left.Count * 16L));
                left.AddRange(some.Packed);
            }

            return left.Count >= sent.Length || loading.IsFaulted;
        });

        await loading.WithinLimit();
        left.ToArray().ShouldBe(sent);
        (await modulator.GetModulatorStatusAsync(TestLimits.Token).WithinLimit()).Underruns.ShouldBe(0);

        async Task LoadInBlocksAsync()
        {
            for (var at = 0; at < sent.Length;)
            {
                // From one group to more than the whole buffer.
                var words = Math.Min(4 << random.Next(0, 11), sent.Length - at);
                await modulator.LoadSymbolsAsync(sent.AsMemory(at, words), TestLimits.Token);
                at += words;
            }
        }
    }

    [Fact]
    public async Task Loading_waits_for_room_and_keeps_nobody_else_waiting()
    {
        var modulator = await OpenModulatorAsync();
        var buffer = (int)modulator.ModulatorCapabilities.BufferSlots;
        await RunningAsync(modulator, buffer);
        var loading = modulator.LoadSymbolsAsync(new ulong[WordsPerFrame], TestLimits.Token).AsTask();

        for (var request = 0; request < 3; request++)
        {
            var status = await modulator.GetModulatorStatusAsync(TestLimits.Token).WithinLimit();
            status.ShouldBe(new(true, 0, buffer, 0, ""));
            loading.IsCompleted.ShouldBeFalse();
        }

        Emit(2 * Frame).Packed.Length.ShouldBe(2 * WordsPerFrame);
        await loading.WithinLimit();
        await UntilBufferedAsync(modulator, buffer - Frame);
    }

    [Fact]
    public async Task A_load_given_up_leaves_the_stream_of_symbols_whole()
    {
        var modulator = await OpenModulatorAsync();
        var random = new Random(2);
        var buffer = Draw(random, (int)modulator.ModulatorCapabilities.BufferSlots);
        await RunningAsync(modulator, buffer);
        using (var impatient = new CancellationTokenSource())
        {
            var givenUp = modulator.LoadSymbolsAsync(Draw(random, Frame), impatient.Token);
            await impatient.CancelAsync();
            await Should.ThrowAsync<OperationCanceledException>(async () => await givenUp.WithinLimit());
        }

        var next = Draw(random, Frame);
        var loading = modulator.LoadSymbolsAsync(next, TestLimits.Token);
        var left = Emit(buffer.Length * 16).Packed;
        await loading.WithinLimit();
        await UntilBufferedAsync(modulator, Frame);
        left.Concat(Emit(Frame).Packed).ShouldBe(buffer.Concat(next));
    }

    [Fact]
    public async Task Loads_of_several_callers_do_not_mix()
    {
        var modulator = await OpenModulatorAsync();
        await ConfigureAsync(modulator);
        var blocks = Enumerable.Range(0, 8).Select(block => Enumerable.Repeat((ulong)block, WordsPerFrame).ToArray()).ToArray();
        await Task.WhenAll(blocks.Select(block => modulator.LoadSymbolsAsync(block, TestLimits.Token).AsTask())).WithinLimit();
        await AllowStartAsync(modulator);
        await modulator.StartAsync(0, TestLimits.Token).WithinLimit();

        var left = Emit(8 * Frame).Packed.Chunk(WordsPerFrame).ToArray();

        left.Length.ShouldBe(8);
        left.ShouldAllBe(block => block.Distinct().Count() == 1);
        left.Select(block => block[0]).Order().ShouldBe(Enumerable.Range(0, 8).Select(block => (ulong)block));
    }

    [Fact]
    public async Task Starts_at_the_frame_given_and_counts_the_slots_that_have_left()
    {
        var modulator = await OpenModulatorAsync();
        await ConfigureAsync(modulator);
        TrueMarkerDivisor.ShouldBe(10);
        await modulator.LoadSymbolsAsync(new ulong[3 * WordsPerFrame], TestLimits.Token).WithinLimit();
        await AllowStartAsync(modulator);
        TrueRunning.ShouldBeFalse();

        await modulator.StartAsync(7 * Frame, TestLimits.Token).WithinLimit();

        TrueRunning.ShouldBeTrue();
        (await modulator.GetModulatorStatusAsync(TestLimits.Token).WithinLimit()).ShouldBe(new(true, 7 * Frame, 3 * Frame, 0, ""));
        Emit(192).FirstSlot.ShouldBe(7 * Frame);
        (await modulator.GetModulatorStatusAsync(TestLimits.Token).WithinLimit()).ShouldBe(new(true, (7 * Frame) + 192, (3 * Frame) - 192, 0, ""));
    }

    [Theory]
    [InlineData(64)]
    [InlineData(-640)]
    public async Task A_slot_that_begins_no_frame_is_refused(long slot)
    {
        var modulator = await OpenModulatorAsync();
        await ConfigureAsync(modulator);
        await modulator.LoadSymbolsAsync(new ulong[WordsPerFrame], TestLimits.Token).WithinLimit();
        await AllowStartAsync(modulator);
        var error = await Should.ThrowAsync<DeviceException>(async () => await modulator.StartAsync(slot, TestLimits.Token).WithinLimit());
        error.Device.ShouldBe(modulator.Name);
        TrueRunning.ShouldBeFalse();
        await modulator.StartAsync(0, TestLimits.Token).WithinLimit();
    }

    [Fact]
    public async Task A_plan_outside_the_capabilities_is_refused_and_the_former_one_stands()
    {
        var modulator = await OpenModulatorAsync();
        await ConfigureAsync(modulator);
        var good = Plan;
        var divisor = modulator.ModulatorCapabilities.MaximumMarkerDivisor;
        foreach (var bad in new[]
        {
            good with { FrameSlots = 0 }, good with { FrameSlots = 100 }, good with { FrameSlots = -Frame }, good with { FrameSlots = int.MaxValue / 640 * 640 },
            good with { PilotSlots = 32 }, good with { PilotSlots = Frame + 64 }, good with { PilotSlots = -64 },
            good with { MarkerDivisor = 0 }, good with { MarkerDivisor = 7 }, good with { MarkerDivisor = divisor + 1 },
            good with { Mode = Enum.GetValues<SymbolMode>().Except(modulator.ModulatorCapabilities.Modes).Append((SymbolMode)99).First() },
        })
        {
            var error = await Should.ThrowAsync<SettingOutOfRangeException>(
                async () => await modulator.ConfigureAsync(bad, TestLimits.Token).WithinLimit(), bad.ToString());
            error.Device.ShouldBe(modulator.Name);
        }

        await modulator.LoadSymbolsAsync(new ulong[WordsPerFrame], TestLimits.Token).WithinLimit();
        await UntilBufferedAsync(modulator, Frame);
        TrueMarkerDivisor.ShouldBe(10);
    }

    [Fact]
    public async Task Only_whole_groups_are_taken()
    {
        var modulator = await OpenModulatorAsync();
        await ConfigureAsync(modulator);
        await Should.ThrowAsync<ArgumentException>(async () => await modulator.LoadSymbolsAsync(new ulong[6], TestLimits.Token).WithinLimit());
        await modulator.LoadSymbolsAsync(default, TestLimits.Token).WithinLimit();
        (await modulator.GetModulatorStatusAsync(TestLimits.Token).WithinLimit()).BufferedSlots.ShouldBe(0);
    }

    [Fact]
    public async Task Stopping_forgets_the_symbols_ends_who_waits_and_a_new_plan_begins_anew()
    {
        var modulator = await OpenModulatorAsync();
        await RunningAsync(modulator, (int)modulator.ModulatorCapabilities.BufferSlots);
        await Should.ThrowAsync<DeviceException>(async () => await modulator.ConfigureAsync(Plan, TestLimits.Token).WithinLimit());
        TrueRunning.ShouldBeTrue("a plan is for a modulator that stands");
        var loading = modulator.LoadSymbolsAsync(new ulong[WordsPerFrame], TestLimits.Token).AsTask();

        await modulator.StopAsync(TestLimits.Token).WithinLimit();

        TrueRunning.ShouldBeFalse();
        await Should.ThrowAsync<DeviceException>(async () => await loading.WithinLimit());
        await Should.ThrowAsync<DeviceException>(async () => await modulator.LoadSymbolsAsync(new ulong[WordsPerFrame], TestLimits.Token).WithinLimit());
        var status = await modulator.GetModulatorStatusAsync(TestLimits.Token).WithinLimit();
        (status.Running, status.BufferedSlots, status.Underruns).ShouldBe((false, 0, 0));
        await modulator.StopAsync(TestLimits.Token).WithinLimit();

        await ConfigureAsync(modulator);
        var symbols = Draw(new(3), 2 * Frame);
        await modulator.LoadSymbolsAsync(symbols, TestLimits.Token).WithinLimit();
        await modulator.StartAsync(0, TestLimits.Token).WithinLimit();
        Emit(2 * Frame).Packed.ShouldBe(symbols);
    }

    [Fact]
    public async Task An_underrun_stops_is_counted_and_told_and_a_new_plan_begins_anew()
    {
        var modulator = await OpenModulatorAsync();
        var events = new ConcurrentQueue<DeviceEvent>();
        using var subscription = modulator.Events.Subscribe(events.Enqueue);
        await RunningAsync(modulator, 2 * Frame);
        Emit(2 * Frame);

        RunDry();

        TrueRunning.ShouldBeFalse();
        await TestLimits.UntilAsync(() => events.Any(happened => happened.Detail.Contains("underrun")));
        (await modulator.GetModulatorStatusAsync(TestLimits.Token).WithinLimit()).ShouldBe(new(false, 2 * Frame, 0, 1, ""));
        var error = await Should.ThrowAsync<DeviceException>(
            async () => await modulator.LoadSymbolsAsync(new ulong[WordsPerFrame], TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("underrun");
        await RunningAsync(modulator, Frame);
        (await modulator.GetModulatorStatusAsync(TestLimits.Token).WithinLimit()).Underruns.ShouldBe(0);
    }

    [Fact]
    public async Task A_device_disposed_of_or_lost_ends_who_waits_for_room()
    {
        foreach (var lost in new[] { false, true })
        {
            var modulator = await OpenModulatorAsync();
            await RunningAsync(modulator, (int)modulator.ModulatorCapabilities.BufferSlots);
            var loading = modulator.LoadSymbolsAsync(new ulong[WordsPerFrame], TestLimits.Token).AsTask();
            if (lost)
            {
                Instrument.Inject(InstrumentFault.Disconnect);
                await Should.ThrowAsync<DeviceDisconnectedException>(async () => await loading.WithinLimit());
            }
            else
            {
                await modulator.DisposeAsync().AsTask().WithinLimit();
                await Should.ThrowAsync<ObjectDisposedException>(async () => await loading.WithinLimit());
            }

            await TestLimits.UntilAsync(() => !TrueRunning);
        }
    }

    [Fact]
    public async Task Seeds_give_the_weights_and_pilots_of_the_plan_and_the_same_symbols_again()
    {
        var modulator = await OpenModulatorAsync();
        if (!modulator.ModulatorCapabilities.Modes.Contains(SymbolMode.Seeded))
        {
            return;
        }

        await AllowStartAsync(modulator);
        var seeds = new[] { Seed(1), Seed(2), Seed(3) };
        foreach (var (xBasis, intensity) in new[] { (0, 0), (128, modulator.ModulatorCapabilities.IntensityCount - 1), (128, 0) })
        {
            var first = await SeededAsync(modulator, xBasis, intensity, 5, seeds);
            (await SeededAsync(modulator, xBasis, intensity, 5, seeds)).ShouldBe(first);
            first[..WordsPerFrame].ShouldNotBe(await SeededAsync(modulator, xBasis, intensity, 5, [Seed(9)]));
            for (var frame = 0; frame < seeds.Length; frame++)
            {
                var symbols = first.AsSpan(frame * WordsPerFrame, WordsPerFrame);
                var pilot = new ulong[PackedSymbols.WordCount(PilotSlots)];
                Pilot.Fill(5 + frame, modulator.ModulatorCapabilities.IntensityCount - 1, pilot);
                symbols[..pilot.Length].SequenceEqual(pilot).ShouldBeTrue();
                for (var slot = PilotSlots; slot < Frame; slot++)
                {
                    var symbol = PackedSymbols.Read(symbols, slot);
                    (symbol.Basis, symbol.Intensity).ShouldBe((xBasis == 0 ? Basis.Z : Basis.X, intensity));
                }
            }
        }
    }

    [Fact]
    public async Task Seeds_wait_for_room_and_are_consecutive()
    {
        var modulator = await OpenModulatorAsync();
        if (!modulator.ModulatorCapabilities.Modes.Contains(SymbolMode.Seeded))
        {
            return;
        }

        await AllowStartAsync(modulator);
        await modulator.ConfigureAsync(SeededPlan(modulator, 64, 0), TestLimits.Token).WithinLimit();
        await Should.ThrowAsync<ArgumentException>(async () => await modulator.LoadSeedAsync(4, new byte[31], TestLimits.Token).WithinLimit());
        await Should.ThrowAsync<DeviceException>(async () => await modulator.LoadSymbolsAsync(new ulong[4], TestLimits.Token).WithinLimit());
        var room = (int)(modulator.ModulatorCapabilities.BufferSlots / Frame);
        for (var frame = 4; frame < 4 + room; frame++)
        {
            await modulator.LoadSeedAsync(frame, Seed(frame), TestLimits.Token).WithinLimit();
        }

        await modulator.StartAsync(4 * Frame, TestLimits.Token).WithinLimit();
        await Should.ThrowAsync<ArgumentException>(async () => await modulator.LoadSeedAsync(4, Seed(4), TestLimits.Token).WithinLimit());
        var waiting = modulator.LoadSeedAsync(4 + room, Seed(4 + room), TestLimits.Token).AsTask();
        await modulator.GetModulatorStatusAsync(TestLimits.Token).WithinLimit();
        waiting.IsCompleted.ShouldBeFalse();
        Emit(Frame);
        await waiting.WithinLimit();
    }

    [Fact]
    public async Task Weights_that_make_no_sense_are_refused()
    {
        var modulator = await OpenModulatorAsync();
        if (!modulator.ModulatorCapabilities.Modes.Contains(SymbolMode.Seeded))
        {
            return;
        }

        var good = SeededPlan(modulator, 64, 0);
        int[] intensities = [.. good.Weights!.IntensitiesOf256];
        await Should.ThrowAsync<ArgumentException>(async () => await modulator.ConfigureAsync(good with { Weights = null }, TestLimits.Token).WithinLimit());
        foreach (var bad in new SymbolWeights[] { new(129, intensities), new(-1, intensities), new(64, [.. intensities, 0]), new(64, [255, .. intensities[1..]]) })
        {
            await Should.ThrowAsync<SettingOutOfRangeException>(
                async () => await modulator.ConfigureAsync(good with { Weights = bad }, TestLimits.Token).WithinLimit());
        }
    }

    private static ModulationPlan Plan => new() { FrameSlots = Frame, PilotSlots = PilotSlots, MarkerDivisor = 10, Mode = SymbolMode.Stream };

    private static ModulationPlan SeededPlan(IPolarizationModulator modulator, int xBasis, int intensity)
    {
        var weights = new int[modulator.ModulatorCapabilities.IntensityCount];
        weights[intensity] = 256;
        return Plan with { Mode = SymbolMode.Seeded, Weights = new(xBasis, weights) };
    }

    private static byte[] Seed(int number)
    {
        var seed = new byte[32];
        new Random(number).NextBytes(seed);
        return seed;
    }

    private static ulong[] Draw(Random random, int slots)
    {
        var words = new ulong[slots / 16];
        random.NextBytes(MemoryMarshal.AsBytes(words.AsSpan()));
        return words;
    }

    private static Task UntilBufferedAsync(IPolarizationModulator modulator, long slots) => TestLimits.UntilAsync(async () =>
        (await modulator.GetModulatorStatusAsync(TestLimits.Token).WithinLimit()).BufferedSlots >= slots);

    private static async Task ConfigureAsync(IPolarizationModulator modulator) => await modulator.ConfigureAsync(Plan, TestLimits.Token).WithinLimit();

    private async Task<ulong[]> SeededAsync(IPolarizationModulator modulator, int xBasis, int intensity, int firstFrame, byte[][] seeds)
    {
        await modulator.ConfigureAsync(SeededPlan(modulator, xBasis, intensity), TestLimits.Token).WithinLimit();
        for (var i = 0; i < seeds.Length; i++)
        {
            await modulator.LoadSeedAsync(firstFrame + i, seeds[i], TestLimits.Token).WithinLimit();
        }

        await modulator.StartAsync(firstFrame * Frame, TestLimits.Token).WithinLimit();
        await UntilBufferedAsync(modulator, seeds.Length * Frame);
        var (firstSlot, symbols) = Emit(seeds.Length * Frame);
        firstSlot.ShouldBe(firstFrame * Frame);
        symbols.Length.ShouldBe(seeds.Length * WordsPerFrame);
        await modulator.StopAsync(TestLimits.Token).WithinLimit();
        return symbols;
    }

    private async Task RunningAsync(IPolarizationModulator modulator, int slots) => await RunningAsync(modulator, new ulong[slots / 16]);

    private async Task RunningAsync(IPolarizationModulator modulator, ulong[] symbols)
    {
        await ConfigureAsync(modulator);
        await modulator.LoadSymbolsAsync(symbols, TestLimits.Token).WithinLimit();
        await AllowStartAsync(modulator);
        await modulator.StartAsync(0, TestLimits.Token).WithinLimit();
    }

    private async Task<IPolarizationModulator> OpenModulatorAsync() => (IPolarizationModulator)await OpenAsync();
}
