using System.Xml.Linq;
using Shouldly;

namespace Qkd.Architecture.Tests;

/// <summary>
/// Holds the arrows between the projects. They are read from the project files, so a reference that is there but unused counts
/// as well, and a new project without a rule fails.
/// </summary>
public sealed class ProjectArrowsTests
{
    private static readonly string Root = FindRoot();

    /// <summary>What each project may refer to directly. Everything else is forbidden.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Qkd.Devices"] = [],
        ["Qkd.Transports"] = ["Qkd.Devices"],
        ["Qkd.Timing"] = ["Qkd.Devices"],
        ["Qkd.Distillation"] = ["Qkd.Devices"],
        ["Qkd.Link"] = ["Qkd.Distillation", "Qkd.Timing", "Qkd.Devices"],
        ["Qkd.Keys"] = ["Qkd.Distillation", "Qkd.Devices"],
        ["Qkd.Node"] = ["Qkd.Link", "Qkd.Keys", "Qkd.Transports", "Qkd.Timing", "Qkd.Distillation", "Qkd.Devices"],
        ["Qkd.Web"] = ["Qkd.Node", "Qkd.Keys", "Qkd.Devices", "Qkd.Link"],
        ["Qkd.Cli"] = ["Qkd.Web", "Qkd.Node", "Qkd.Sim.Bench", "drivers/*"],
        ["Qkd.Service"] = ["Qkd.Web", "Qkd.Node", "Qkd.Sim.Bench", "drivers/*"],
        ["drivers/*"] = ["Qkd.Devices", "Qkd.Transports"],
        ["Qkd.Sim.Optics"] = [],
        ["Qkd.Sim.Firmware"] = [],
        ["Qkd.Sim.Bench"] = ["Qkd.Sim.Optics", "Qkd.Sim.Firmware"],
    };

    public static TheoryData<string> Projects()
    {
        var data = new TheoryData<string>();
        foreach (var folder in new[] { "src", "drivers", "firmware-sim" })
        {
            foreach (var file in Directory.EnumerateFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories))
            {
                data.Add(Path.GetRelativePath(Root, file));
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void Every_project_refers_only_to_the_projects_it_may_know(string project)
    {
        var name = Path.GetFileNameWithoutExtension(project);
        var rule = name.StartsWith("Qkd.Drivers.", StringComparison.Ordinal) ? "drivers/*" : name;
        Allowed.ShouldContainKey(rule, $"{name} has no rule: decide where it stands");
        foreach (var reference in ReferencesOf(Path.Combine(Root, project)))
        {
            var target = reference.StartsWith("Qkd.Drivers.", StringComparison.Ordinal) ? "drivers/*" : reference;
            Allowed[rule].ShouldContain(target, $"{name} must not refer to {reference}");
        }
    }

    [Fact]
    public void Contracts_use_the_base_class_library_alone() =>
        PackagesOf(Path.Combine(Root, "src/Qkd.Devices/Qkd.Devices.csproj")).ShouldBeEmpty();

    [Fact]
    public void Pure_projects_take_no_package_that_does_input_or_output()
    {
        foreach (var pure in new[] { "src/Qkd.Timing/Qkd.Timing.csproj", "src/Qkd.Distillation/Qkd.Distillation.csproj", "firmware-sim/Qkd.Sim.Optics/Qkd.Sim.Optics.csproj" })
        {
            PackagesOf(Path.Combine(Root, pure)).ShouldBeSubsetOf(["MathNet.Numerics"], pure);
        }
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = File.ReadAllText(Path.Combine(Root, "Drivers.sln"));
        foreach (var folder in new[] { "src", "drivers", "firmware-sim", "tests" })
        {
            foreach (var file in Directory.EnumerateFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories))
            {
                solution.ShouldContain(Path.GetFileName(file));
            }
        }
    }

    private static IEnumerable<string> ReferencesOf(string file) =>
        XDocument.Load(file).Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/')));

    private static string[] PackagesOf(string file) =>
        [.. XDocument.Load(file).Descendants("PackageReference").Select(reference => reference.Attribute("Include")!.Value)];

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Directory.Build.props")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The tests must run inside the source tree.");
    }
}
