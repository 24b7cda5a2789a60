using System.Text.Json;
using Qkd.Timing;
using Qkd.Timing.Formats;
using Shouldly;

namespace Qkd.Cli.Tests;

/// <summary><c>qkd tags</c> as a user calls it.</summary>
public sealed class TagsCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("qkd-tags-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Info_tells_what_is_in_a_file()
    {
        var file = Write(TagFormat.Ptu, Enumerable.Range(1, 300).Select(i => (i * 1_000_000L, (byte)(1 + (i % 3)))));
        var info = await QkdCommand.JsonAsync($"tags info {file}");
        info.GetProperty("format").GetString().ShouldBe("ptu");
        info.GetProperty("record_type").GetString().ShouldBe("HydraHarp V2 T2");
        info.GetProperty("photons").GetInt64().ShouldBe(300);
        info.GetProperty("records").GetInt64().ShouldBe(info.GetProperty("photons").GetInt64() + info.GetProperty("overflows").GetInt64());
        info.GetProperty("overflows").GetInt64().ShouldBe(300_000_000 / 33_554_432);
        info.GetProperty("markers").GetInt64().ShouldBe(0);
        info.GetProperty("channels").EnumerateArray().Select(c => c.GetInt32()).ShouldBe([1, 2, 3]);
        info.GetProperty("resolution_s").GetDouble().ShouldBe(1e-12);
        info.GetProperty("duration_s").GetDouble().ShouldBe(299e-6, 1e-12);
    }

    [Fact]
    public async Task The_recording_of_a_HydraHarp_has_its_known_counts()
    {
        var recording = FindRecording();
        Assert.SkipWhen(recording is null, "the recording is not beside the project");
        var info = await QkdCommand.JsonAsync($"tags info {recording}");
        info.GetProperty("records").GetInt64().ShouldBe(435_319);
        info.GetProperty("photons").GetInt64().ShouldBe(305_565);
        info.GetProperty("overflows").GetInt64().ShouldBe(129_754);
    }

    [Fact]
    public async Task A_file_that_is_cut_off_gives_its_sound_part_and_ends_in_failure()
    {
        var file = Write(TagFormat.Ptu, Enumerable.Range(1, 300).Select(i => (i * 1000L, (byte)1)));
        var bytes = File.ReadAllBytes(file);
        File.WriteAllBytes(file, bytes[..^402]);
        var run = await QkdCommand.RunAsync($"tags info {file} --json");
        run.ExitCode.ShouldBe(1);
        var info = JsonDocument.Parse(run.Output).RootElement;
        info.GetProperty("photons").GetInt64().ShouldBe(199);
        info.GetProperty("error_byte").GetInt64().ShouldBe(bytes.Length - 404);
        run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length.ShouldBe(1);
        run.Error.ShouldContain("at byte");
    }

    [Theory]
    [InlineData("qutag")]
    [InlineData("s15-a1")]
    [InlineData("s15-a1x")]
    [InlineData("tdc1")]
    [InlineData("ht2")]
    public async Task Convert_there_and_back_gives_the_same_tags(string format)
    {
        var file = Write(TagFormat.Ptu, Enumerable.Range(1, 500).Select(i => (i * i * 2000L, (byte)(1 + (i % 4)))));
        var (there, back) = (Path.Combine(_folder, "there.bin"), Path.Combine(_folder, "back.ptu"));
        (await QkdCommand.JsonAsync($"tags convert {file} {there} --to {format}")).GetProperty("omitted").GetInt64().ShouldBe(0);
        await QkdCommand.JsonAsync($"tags convert {there} {back} --format {format} --tick-ps 1");
        Tags(back).ShouldBe(Tags(file));
        (await QkdCommand.RunAsync($"tags convert {there} {back} --format {format}")).ExitCode.ShouldBe(2, "it is there already");
    }

    [Fact]
    public async Task Rates_histogram_and_correlation_come_with_pictures()
    {
        // Channel 2 follows channel 1 by 5 ns, one microsecond apart.
        var file = Write(TagFormat.Ptu, Enumerable.Range(1, 2000).SelectMany(i => new[] { (i * 1_000_000L, (byte)1), ((i * 1_000_000L) + 5000, (byte)2) }));
        var (rates, histogram, g2) = (Path.Combine(_folder, "rates.png"), Path.Combine(_folder, "histogram.svg"), Path.Combine(_folder, "g2.png"));
        var counted = await QkdCommand.JsonAsync($"tags rates {file} --bin 0.5ms --detectors --plot {rates}");
        var channels = counted.GetProperty("channels").EnumerateArray().ToArray();
        channels.Length.ShouldBe(2);
        channels[0].GetProperty("rate_hz").GetDouble().ShouldBe(1e6, 2e3);
        var delays = await QkdCommand.JsonAsync($"tags histogram {file} --start 1 --stop 2 --bin-ps 100 --plot {histogram}");
        delays.GetProperty("counts").EnumerateArray().Last().GetInt64().ShouldBe(2000);
        delays.GetProperty("counts").GetArrayLength().ShouldBe(51);
        var correlation = await QkdCommand.JsonAsync($"tags correlate {file} --channels 1,2 --window-ps 100 --delays-ps 0,5000 --bin-ps 1000 --range-ps 10000 --plot {g2}");
        correlation.GetProperty("coincidences").GetInt64().ShouldBe(2000);
        correlation.GetProperty("pairs").EnumerateArray().Select(p => p.GetInt64()).ToArray()[15].ShouldBe(2000);
        (await QkdCommand.RunAsync($"tags correlate {file} --channels 1,3")).Output.ShouldContain("channel 3 has no tags");
        File.ReadAllBytes(rates)[..4].ShouldBe([0x89, (byte)'P', (byte)'N', (byte)'G']);
        File.ReadAllText(histogram).ShouldContain("<svg");
        new FileInfo(g2).Length.ShouldBeGreaterThan(5000);
    }

    [Fact]
    public async Task Sync_finds_a_marker()
    {
        // A marker every 10 us on channel 4, at +20 ppm.
        var file = Write(TagFormat.QuTag, Enumerable.Range(0, 20_000).Select(i => ((long)Math.Round(1e6 + (i * 1e7 * (1 + 20e-6))), (byte)4)));
        var sync = await QkdCommand.JsonAsync($"tags sync {file} --format qutag --marker 4 --period-ps 10000 --divisor 1000");
        sync.GetProperty("state").GetString().ShouldBe("locked");
        sync.GetProperty("deviation_ppm").GetDouble().ShouldBe(20, 0.01);
        sync.GetProperty("missing_markers").GetInt64().ShouldBe(0);
        (await QkdCommand.RunAsync($"tags sync {file} --format qutag --marker 3")).ExitCode.ShouldBe(1);
    }

    [Theory]
    [InlineData("tags info {0}", 1, "--format")]
    [InlineData("tags info {0} --format foo", 2, "--format foo")]
    [InlineData("tags info {0}.missing", 1, "missing")]
    [InlineData("tags rates {0} --format idq-ref", 2, "--reference-period-ps")]
    [InlineData("tags histogram {0} --format idq", 2, "--start")]
    [InlineData("tags correlate {0} --format idq --channels 1,1", 2, "--channels")]
    [InlineData("tags rates {0} --format idq --bin soon", 2, "--bin")]
    [InlineData("tags convert {0} {0}.x --format idq --to session", 2, "--to")]
    [InlineData("tags convert {0} {0}.x --format idq --to ptu --record-type nonsense", 2, "--record-type")]
    [InlineData("tags sync {0} --format idq --period-ps -1", 2, "SlotPeriodPicoseconds")]
    public async Task What_cannot_be_is_said_in_one_sentence(string line, int code, string about)
    {
        var file = Path.Combine(_folder, "plain.bin");
        await File.WriteAllBytesAsync(file, new byte[160], TestContext.Current.CancellationToken);
        var run = await QkdCommand.RunAsync(string.Format(System.Globalization.CultureInfo.InvariantCulture, line, file));
        run.ExitCode.ShouldBe(code, run.Error);
        run.Error.ShouldContain(about);
        run.Error.TrimEnd().Split('\n').Length.ShouldBe(1);
    }

    private static string? FindRecording()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var file = Path.Combine(folder.FullName, "..", "shared", "data", "hydraharp-v2-t2.ptu");
            if (File.Exists(file))
            {
                return Path.GetFullPath(file);
            }
        }

        return null;
    }

    private static List<(long, byte)> Tags(string file)
    {
        using var reader = TagFiles.OpenReader(File.OpenRead(file));
        var (tags, buffer) = (new List<(long, byte)>(), new TagBuffer());
        while (reader.Read(buffer))
        {
            for (var i = 0; i < buffer.Count; i++)
            {
                tags.Add((buffer.Times[i], buffer.Channels[i]));
            }
        }

        return tags;
    }

    private string Write(TagFormat format, IEnumerable<(long Time, byte Channel)> tags)
    {
        var file = Path.Combine(_folder, $"tags.{format.Name()}");
        var source = new TagStreamInfo { Format = "made", RecordType = "made", TickPicoseconds = 1 };
        using var writer = TagFiles.OpenWriter(File.Create(file), format, new TagWriteOptions { Source = source });
        var buffer = new TagBuffer(1 << 16);
        foreach (var (time, channel) in tags)
        {
            buffer.Add(time, channel);
        }

        writer.Write(buffer);
        return file;
    }
}
