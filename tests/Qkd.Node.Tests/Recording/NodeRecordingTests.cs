using NSubstitute;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Keys;
using Qkd.Link;
using Qkd.Node.Configuration;
using Qkd.Node.Nodes;
using Qkd.Node.Recording;
using Qkd.Node.Status;
using Qkd.Node.Tests.Support;
using Qkd.Timing.Recording;
using Shouldly;

namespace Qkd.Node.Tests.Recording;

public sealed class NodeRecordingTests : IDisposable
{
    private static readonly LinkAgreement Agreed = Agreement.From(new ProtocolOptions { IntensityProbabilities = [0.5, 0.3125, 0.1875] });

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Without_the_setting_nothing_is_made_at_all()
    {
        NodeRecording.Open(Bench(new()), LinkEnd.Bob, Make.Monitor(TimeProvider.System), TimeProvider.System).ShouldBeNull();
        Directory.EnumerateFileSystemEntries(_folder.Path).ShouldBeEmpty();
        new RecordingOptions().Enabled.ShouldBeFalse();
    }

    [Fact]
    public async Task A_recording_tells_whose_it_is_how_the_node_is_set_up_and_what_its_instruments_say()
    {
        using var audit = new AuditLog(_folder["audit.jsonl"], TimeProvider.System);
        using var recording = NodeRecording.Open(Bench(new() { Enabled = true }), LinkEnd.Bob, Make.Monitor(TimeProvider.System, audit), TimeProvider.System)!;
        await recording.AskAsync([Device("tagger", fails: false), Device("paddles", fails: true)], TestContext.Current.CancellationToken);
        await using (var recorder = recording.Begin(Agreed))
        {
            recorder.ShouldNotBeNull().IsRecording.ShouldBeTrue();
        }

        var file = Directory.EnumerateFiles(_folder["recordings"]).ShouldHaveSingleItem();
        Path.GetFileName(file).ShouldMatch(@"^bob-\d{8}T\d{6}\.\d{3}Z\.qkdrec$");
        if (!OperatingSystem.IsWindows())
        {
            File.GetUnixFileMode(file).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        using var key = RecordingKey.Open(Path.Combine(_folder["bob"], RecordingKey.FileName));
        var entries = Read(file, key);
        entries.Select(entry => entry.Kind).ShouldBe(
            [RecordingEntryKind.Session, RecordingEntryKind.Configuration, RecordingEntryKind.DeviceSnapshot, RecordingEntryKind.DeviceSnapshot, RecordingEntryKind.Ended]);
        var session = entries.OfType<SessionEntry>().Single();
        (session.End, session.Node).ShouldBe(("Bob", "Bob of the tests"));
        var configuration = entries.OfType<ConfigurationEntry>().Single().Json;
        configuration.ShouldContain("\"FrameSlots\":1000000");
        configuration.ShouldContain("sim:tagger");
        configuration.ShouldContain("T-1000");
        configuration.ShouldNotContain("hunter2");
        entries.OfType<DeviceSnapshotEntry>().Select(entry => entry.Json).ShouldContain(json => json.Contains("temperature", StringComparison.Ordinal));
        entries.OfType<DeviceSnapshotEntry>().Select(entry => entry.Json).ShouldContain(json => json.Contains("it is silent", StringComparison.Ordinal));
        audit.Dispose();
        (await File.ReadAllTextAsync(_folder["audit.jsonl"], TestContext.Current.CancellationToken)).ShouldContain("recording_began");
    }

    [Fact]
    public void A_file_that_cannot_be_made_is_an_alarm_and_no_obstacle()
    {
        var monitor = Make.Monitor(TimeProvider.System);
        using var recording = NodeRecording.Open(Bench(new() { Enabled = true }), LinkEnd.Bob, monitor, TimeProvider.System)!;
        Directory.Delete(_folder["recordings"]);
        recording.Begin(Agreed).ShouldBeNull();
        monitor.Snapshot().Alarms.ShouldHaveSingleItem().Kind.ShouldBe(AlarmKind.Recording);
    }

    [Fact]
    public async Task A_recording_that_becomes_too_long_is_an_alarm()
    {
        var monitor = Make.Monitor(TimeProvider.System);
        using var recording = NodeRecording.Open(Bench(new() { Enabled = true, MaximumMegabytes = 1 }), LinkEnd.Bob, monitor, TimeProvider.System)!;
        await using (var recorder = recording.Begin(Agreed))
        {
            recorder!.Add(new BlockReceivedEntry(1, 1, new byte[600_000]));
            recorder.Add(new BlockReceivedEntry(1, 1, new byte[600_000]));
        }

        var alarm = monitor.Snapshot().Alarms.ShouldHaveSingleItem();
        (alarm.Kind, alarm.KindName).ShouldBe((AlarmKind.Recording, "recording"));
        alarm.Detail.ShouldContain("largest length");
    }

    [Fact]
    public void A_key_or_a_folder_that_cannot_be_used_is_refused_at_the_start_with_the_path_of_the_setting()
    {
        File.WriteAllText(_folder["in-the-way"], "");
        Refused(new() { Enabled = true, Directory = "in-the-way/below" }, "Bench:Bob:Recording:Directory");
        Refused(new() { Enabled = true, KeyFile = "in-the-way/key" }, "Bench:Bob:Recording:KeyFile");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_folder["in-the-way"], UnixFileMode.UserRead | UnixFileMode.OtherRead);
            Refused(new() { Enabled = true, KeyFile = "in-the-way" }, "Bench:Bob:Recording:KeyFile");
        }

        void Refused(RecordingOptions options, string path) =>
            Should.Throw<ConfigurationException>(() => NodeRecording.Open(Bench(options), LinkEnd.Bob, Make.Monitor(TimeProvider.System), TimeProvider.System))
                .Message.ShouldContain(path);
    }

    private BenchOptions Bench(RecordingOptions recording) => new()
    {
        DataFolder = _folder.Path,
        Bob = new BobOptions
        {
            Name = "Bob of the tests",
            Devices = new Dictionary<string, DeviceOptions>
            {
                ["tagger"] = new()
                {
                    Driver = "idquantique.id900",
                    Address = "sim:tagger",
                    Options = new Dictionary<string, string> { ["SerialNumber"] = "T-1000", ["Login:Password"] = "hunter2" },
                },
            },
            Recording = recording,
        },
    };

    private static IDevice Device(string name, bool fails)
    {
        var device = Substitute.For<IDevice>();
        device.Name.Returns(name);
        var snapshot = new DeviceSnapshot(
            name, new("maker", "model", "1", "2"), DateTimeOffset.UnixEpoch, [new("temperature", "K", double.NaN, 0, 300, DateTimeOffset.UnixEpoch)]);
        device.SnapshotAsync(default).ReturnsForAnyArgs(_ => fails ? throw new DeviceException(name, "sim", "it is silent") : ValueTask.FromResult(snapshot));
        return device;
    }

    private static List<RecordingEntry> Read(string file, RecordingKey key)
    {
        using var reader = new SessionRecordingReader(File.OpenRead(file), key.Bytes);
        var entries = new List<RecordingEntry>();
        while (reader.Read() is { } entry)
        {
            entries.Add(entry);
        }

        return entries;
    }
}
